"""Rounds of a tiny run on made data, one after the other, and what of them is compared."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tickets.chains import Chain, first_chain
from tickets.config import ArmConfig, parse_run
from tickets.data import Examples
from tickets.fitting import fit
from tickets.planning import plan_execution
from tickets.ready import ReadyRun, ready_run
from tickets.rounds import Network, RoundResult, train_round
from tickets.source import Source

CPU = torch.device("cpu")


def norm_net(input_shape: tuple[int, ...], classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(input_shape[0], 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, classes)
    )


@functools.cache
def source() -> Source:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(80, 10, generator=generator)
    labels = inputs[:, :3].argmax(1)
    cuts = [slice(0, 50), slice(50, 62), slice(62, 80)]
    parts = [part for cut in cuts for part in (inputs[cut], labels[cut])]
    return Source("made", "00", Examples(*parts, classes=3))


def setting_of(**changes: Any) -> ReadyRun:
    table: dict[str, Any] = {
        "name": "tiny",
        "seed": 7,
        "data": "digits",
        "model": {"name": "mlp", "widths": [8, 6]},
        "train": {"steps": 12, "batch_size": 10, "evaluate_every": 4, "learning_rate": 0.03},
    }
    for key, value in changes.items():
        table[key] = {**table[key], **value} if key == "train" else value
    fitted = fit(parse_run(table), source())
    return ready_run(fitted, plan_execution(fitted, CPU), CPU)


def play(setting: ReadyRun, chains: list[Chain], number: int, *arms: str | ArmConfig | tuple) -> RoundResult:
    def pair(arm: str | ArmConfig | tuple) -> tuple[ArmConfig, int]:
        if isinstance(arm, tuple):
            return ArmConfig(name=arm[0]), arm[1]
        return (ArmConfig(name=arm) if isinstance(arm, str) else arm), 0

    return train_round(setting, "id", chains, number, [pair(arm) for arm in arms or ("ticket",)])


def rounds_of(setting: ReadyRun, last: int, replicates: int = 1) -> list[RoundResult]:
    """The ticket's rounds from 0 to the last, one after the other."""
    chains = [first_chain(setting, replicate) for replicate in range(replicates)]
    results = []
    for number in range(last + 1):
        results.append(play(setting, chains, number))
        chains = list(results[-1].chains)
    return results


def of(result: RoundResult, arm: str, replicate: int = 0, draw: int = 0) -> Network:
    (found,) = (
        network
        for network in result.networks
        if (network.label.arm, network.label.replicate, network.label.draw) == (arm, replicate, draw)
    )
    return found


def counts(masks: Mapping[str, Tensor]) -> list[int]:
    return [int(mask.sum()) for mask in masks.values()]


def assert_equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(other[name], value), name


def masked(values: Mapping[str, Tensor], mask: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.where(mask[name], value, 0.0) if name in mask else value for name, value in values.items()}
