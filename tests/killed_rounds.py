"""Rounds of two replicates that are killed in training, for tests of checkpoints."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from small_rounds import setting_of
from torch import Tensor

from tickets.chains import Chain, first_chain
from tickets.checkpoint import RoundCheckpoint
from tickets.probes import at_steps
from tickets.ready import ReadyRun
from tickets.rounds import RoundResult, train_round

ALWAYS = 1e-12  # minutes
NAME = "checkpoint.safetensors"


@at_steps
def remembers(networks: Any) -> list[dict[str, Any]]:
    """How many steps it has seen, from a tensor that it writes to in place and from a view that is transposed."""
    seen = networks.carry.setdefault("seen", torch.zeros(3, 2).t())
    seen += 1
    first = networks.carry.setdefault("first", networks.values["0.weight"].flatten(1)[:, :2].clone())
    moved = (networks.values["0.weight"].flatten(1)[:, :2] - first).abs().sum(1)
    return [
        {"network": place, "seen": float(seen.sum()), "moved": float(moved[place]), "says": f"at {networks.step}"}
        for place in range(len(networks))
    ]


NORM = "small_rounds:norm_net"
LEARNED = [{"name": "supermask", "label": "sampled", "samples": 2}, {"name": "edge_popup"}]
PRUNED = ["ticket", {"name": "frozen"}, {"name": "reorder"}, {"name": "reinit", "train": {"steps": 9}}]
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "sparse": {"arms": ["ticket", "reinit"]},
    "layered": {"arms": ["ticket", "reinit"], "compute": {"strategy": "layered"}},
    "vectorised": {"model": NORM, "arms": ["ticket", "reinit"], "compute": {"strategy": "vectorised"}},
    "looped, probes": {
        "model": NORM, "arms": ["ticket", "reinit"], "compute": {"strategy": "looped"},
        "probes": [f"{__name__}:remembers", "early_bird", "overlap"],
    },
    "plain, few": {
        "model": NORM, "arms": ["ticket", "reinit"],
        "train": {"evaluate_on": 5, "optimizer": "adamw", "weight_decay": 0.1},
    },
    "learned": {"arms": ["ticket", *LEARNED], "model": NORM},
    "groups": {"arms": PRUNED, "train": {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.1}},
    "rewound": {"rewind": {"step": 5}, "arms": ["ticket", "reorder"]},
    "fine-tuned": {"rewind": {"kind": "none"}, "fine_tune": {"steps": 20}, "arms": ["ticket"]},
    "narrower": {"rounds": 2, "arms": ["ticket", {"name": "small_dense"}]},
}  # fmt: skip


class KilledError(Exception):
    pass


def key(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "run": "id",
        "cohort": 0,
        "round": number,
        "part": 0,
        "replicates": [0, 1],
        "arms": [["ticket", 0]],
        **changes,
    }


def made_with(**changes: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"fingerprint": {"packages": {"torch": "2"}}, "execution": {"lanes": 1}, "sources": {}, **changes}


class Round:
    """One round of two replicates, as often as a test wants it."""

    def __init__(self, setting: ReadyRun, chains: list[Chain], number: int) -> None:
        self.setting, self.chains, self.number = setting, chains, number
        self.notes, self.resumed = list[str](), list[Any]()

    def train(self, checkpoint: RoundCheckpoint | None, kill_after: float = float("inf")) -> RoundResult:
        left = [kill_after]

        def tick(networks: int) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError

        arms = [(arm, 0) for arm in self.setting.run.arms]
        return train_round(self.setting, "id", self.chains, self.number, arms, tick, checkpoint=checkpoint)

    def checkpoint(self, folder: Path, minutes: float = ALWAYS, **changes: Any) -> RoundCheckpoint:
        found = RoundCheckpoint(folder, key(self.number, **changes), made_with(), minutes, self.notes.append)
        self.resumed.append(found.resumed)
        return found

    def killed_again_and_again(self, folder: Path, pieces: Callable[[], int]) -> RoundResult:
        for _ in itertools.count():
            try:
                return self.train(self.checkpoint(folder), pieces())
            except KilledError:
                continue
        raise AssertionError


def round_of(name: str, number: int = 0) -> Round:
    setting = setting_of(**{**SETTINGS[name], "compute": {"threads": 1, **SETTINGS[name].get("compute", {})}})
    if name.startswith("plain"):  # the guard chooses it, for models that no other strategy trains
        setting = replace(setting, plan=replace(setting.plan, strategy="plain", takes_over={}))
    chains = [first_chain(setting, replicate) for replicate in range(2)]
    one = Round(setting, chains, 0)
    return one if number == 0 else Round(setting, list(one.train(None).chains), 1)


def flat(tensors: Mapping[str, Any], name: str = "") -> dict[str, bytes]:
    found = {}
    for part, value in tensors.items():
        if isinstance(value, Tensor):
            assert value.device.type == "cpu"
            found[f"{name}/{part}"] = value.contiguous().reshape(-1).numpy().tobytes() + str(value.dtype).encode()
        else:
            found |= flat(value, f"{name}/{part}")
    return found


def assert_same(one: RoundResult, other: RoundResult) -> None:
    for mine, its in zip(one.networks, other.networks, strict=True):
        assert (mine.label, mine.model) == (its.label, its.model)
        for name in ("mask", "initial", "trained"):
            assert list(flat(getattr(mine, name)).items()) == list(flat(getattr(its, name)).items())
    for mine, its in zip(one.chains, other.chains, strict=True):
        for name in ("rewound", "optimizer", "masks"):
            assert list(flat(getattr(mine, name)).items()) == list(flat(getattr(its, name)).items())
        assert mine.diverged == its.diverged
    pd.testing.assert_frame_equal(one.curves, other.curves, check_exact=True)
    pd.testing.assert_frame_equal(
        one.rounds.drop(columns="seconds"), other.rounds.drop(columns="seconds"), check_exact=True
    )
    assert one.tables.keys() == other.tables.keys()
    for name, table in one.tables.items():
        pd.testing.assert_frame_equal(table, other.tables[name], check_exact=True)


def killed(one: Round, folder: Path, after: int = 9) -> None:
    with pytest.raises(KilledError):
        one.train(one.checkpoint(folder), after)
    assert (folder / NAME).exists()
    one.notes.clear()
