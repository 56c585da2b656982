"""Candidates of small networks, made without a campaign."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tickets.candidate import Candidate, Ends
from tickets.config import parse_run
from tickets.data import Examples
from tickets.selection import Candidates
from tickets.stack.architecture import prunable

CPU = torch.device("cpu")
CLASSES = 3


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, CLASSES))


def normalised() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 4)),
        nn.Conv1d(1, 3, 2),
        nn.BatchNorm1d(3),
        nn.Softplus(),
        nn.Flatten(),
        nn.Linear(9, CLASSES),
    )


def examples_of(inputs: Tensor, classes: int = CLASSES) -> Examples:
    """The same inputs for training, validation and test; the labels go round the classes."""
    labels = torch.arange(len(inputs)) % classes
    return Examples(*(part for _ in range(3) for part in (inputs, labels)), classes=classes)


def inputs_of(*shape: int, examples: int = 30) -> Tensor:
    return torch.randn(examples, *shape, generator=torch.Generator().manual_seed(5))


def values_of(build: Callable[[], nn.Module], seed: int = 0) -> dict[str, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = build()
    return {name: value.detach().clone() for name, value in (*module.named_parameters(), *module.named_buffers())}


def candidates_of(build: Callable[[], nn.Module], inputs: Tensor, classes: int = CLASSES, **changes: Any) -> Candidates:
    table: dict[str, Any] = {"name": "t", "data": "digits", "model": "a:b", "train": {"batch_size": 10}, **changes}
    return Candidates(parse_run(table), build, examples_of(inputs, classes), CPU)


def at_start(
    build: Callable[[], nn.Module],
    inputs: Tensor,
    *,
    density: float = 0.5,
    scope: str = "global",
    include: tuple[str, ...] = (),
    replicate: int = 0,
    number: int = 1,
    seed: int = 0,
    **changes: Any,
) -> Candidate:
    """A candidate before any training, for a mask that keeps the first share of each tensor's weights."""
    made, theta0 = candidates_of(build, inputs, **changes), values_of(build, replicate)
    masks = {tensor.name: first_share(tensor.shape, density) for tensor in prunable(build(), (), include)}
    return made.at_start(number, replicate, theta0, masks, scope, seed)


def after_round(
    build: Callable[[], nn.Module],
    inputs: Tensor,
    *,
    mask: Mapping[str, Tensor] | None = None,
    number: int = 1,
    replicate: int = 0,
    include: tuple[str, ...] = (),
    **changes: Any,
) -> Candidate:
    """A candidate whose training went from one draw of initial values to another."""
    made, there = candidates_of(build, inputs, **changes), prunable(build(), (), include)
    masks = mask or {tensor.name: torch.ones(tensor.shape, dtype=torch.bool) for tensor in there}

    def masked(values: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value * masks[name] if name in masks else value for name, value in values.items()}

    ends = Ends(masked(values_of(build, 0)), masked(values_of(build, 1)), masked(values_of(build, 2)))
    return made.after_round(number, replicate, ends, masks, there)


def first_share(shape: tuple[int, ...], share: float) -> Tensor:
    count = torch.Size(shape).numel()
    return (torch.arange(count) < round(share * count)).reshape(shape)
