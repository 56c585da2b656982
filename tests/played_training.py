"""Trainings of four small networks that are interrupted, and a checkpoint in memory."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from tickets.data.augmentation import flip_and_crop
from tickets.stack.feed import NetworkSeeds
from tickets.stack.networks import Stack, stack_networks
from tickets.stack.progress import Interval, Progress
from tickets.stack.training import Trained
from tickets.stack.trees import Tree, decode, encode


class Sometimes(nn.Module):
    """Its second layer is used at some steps, of some networks, and its third never."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(6, 9), nn.Linear(9, 9), nn.Linear(9, 9)
        self.last = nn.Linear(9, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(self.first(x))
        if self.training and float(torch.rand(())) < 0.4:
            hidden = hidden + torch.tanh(self.second(hidden))
        return self.last(hidden)


class Memory:
    """A keeper that has the last checkpoint as JSON and bytes."""

    def __init__(self) -> None:
        self.text, self.buffers, self.seconds, self.writes = "{}", list[bytes](), 0.0, 0
        self.refused, self.rejected = list[str](), list[str]()

    def write(self, shards: Mapping[str, Tree], seconds: float) -> None:
        buffers: list[memoryview] = []
        self.text = json.dumps(encode(shards, buffers))
        self.buffers, self.seconds, self.writes = [bytes(buffer) for buffer in buffers], seconds, self.writes + 1

    def refuse(self, why: str) -> None:
        self.refused.append(why)

    def reject(self, why: str) -> None:
        self.rejected.append(why)

    def found(self) -> dict[str, Tree]:
        return decode(json.loads(self.text), [memoryview(bytearray(buffer)) for buffer in self.buffers])


class KilledError(Exception):
    pass


def in_pieces(trained: Callable[..., Trained], keeper: Memory, pieces: Callable[[], int]) -> tuple[Trained, int]:
    """Train, and be killed after so many calls of `tick`, again and again. Returns the result and the times it was."""
    for killed in itertools.count():
        left = [pieces()]

        def tick(networks: int, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError

        progress = Progress(Interval(0.0), keeper, None, keeper.found(), keeper.seconds)
        try:
            return trained(progress=progress, tick=tick), killed
        except KilledError:
            continue
    raise AssertionError


def in_pieces_once(
    trained: Callable[..., Trained], keeper: Memory, steps: int, found: Mapping[str, Tree] | None = None
) -> None:
    left = [steps]

    def tick(networks: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KilledError

    trained(progress=Progress(Interval(0.0), keeper, None, found), tick=tick)


def tensors(stack: Stack | None) -> dict[str, torch.Tensor]:
    if stack is None:
        return {}
    states = {f"{state} {name}": value for state, all_ in stack.optimizer.items() for name, value in all_.items()}
    masks = {f"mask {name}": value for name, value in stack.masks.items()}
    held = {f"held {name}": value for name, value in stack.pruned_values.items()}
    return {**stack.parameters, **stack.buffers, **states, **masks, **held}


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def assert_same(one: Trained, other: Trained) -> None:
    for mine, its in ((one.stack, other.stack), (one.kept, other.kept)):
        assert list(tensors(mine)) == list(tensors(its))
        assert (mine and mine.step) == (its and its.step)
        for name, tensor in tensors(mine).items():
            assert bits(tensor) == bits(tensors(its)[name]), name
    for name, value in vars(one.curves).items():
        its = getattr(other.curves, name)
        assert (value is None) == (its is None), name
        assert value is None or bits(value) == bits(its), name


def training(bench: Any, strategy: str, model: str, shape: tuple[int, ...], **changes: Any) -> Callable[..., Trained]:
    """A training of four networks: train(**options) of it."""
    build = Sometimes if model == "sometimes" else getattr(bench, model)
    options = {name: changes.pop(name) for name in ("lanes", "networks_at_once", "keep_step") if name in changes}
    augmented, reordered, held = (changes.pop(name, False) for name in ("augmented", "reordered", "held"))
    examples = bench.examples(shape, **({"augment": flip_and_crop} if augmented else {}))
    start, seeds = bench.stack(build, 4), bench.seeds(4)
    if held:
        values, masks = bench.networks(build, 4)
        names = [name for name, _ in build().named_parameters()]
        start = stack_networks(values, masks, names, pruned_values=values)
    if reordered:
        seeds[1:] = [NetworkSeeds(90 + n, n, before=seeds[0], step=6) for n in range(1, 4)]
    recipe = bench.recipe(**changes)

    def trained(**more: Any) -> Trained:
        return bench.train(build, start, recipe, examples, strategy, seeds=seeds, **options, **more)

    return trained
