"""Strategies that go wrong in the comparison with a plain loop, and what a run records of it."""

from __future__ import annotations

import dataclasses
import json

import torch
from torch import nn

from tickets import guard
from tickets.stack.strategies import begin

LINEAR = {"model": f"{__name__}:tanh_net"}  # vectorised, then looped, then plain


def tanh_net(input_shape: tuple[int, ...], classes: int, bias: bool = False) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8, bias=bias), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, classes))


class Wrong:
    """A shard that has gone wrong in one way."""

    def __init__(self, shard, way: str) -> None:
        self.shard, self.way = shard, way

    def __getattr__(self, name: str):
        return getattr(self.shard, name)

    def advance(self, *arguments) -> None:
        if self.way == "fails":
            raise RuntimeError("there is no such step")
        self.shard.advance(*arguments)

    def logits(self, x):
        return self.shard.logits(x) * (1.01 if self.way == "outputs" else 1)

    def standing(self, step: int):
        stack = self.shard.standing(step)
        if self.way == "weights":
            changed = {name: tensor * (1 + 1e-4) for name, tensor in stack.parameters.items()}
            return dataclasses.replace(stack, parameters=changed)
        if self.way == "one network":
            changed = {name: torch.stack([tensor[0], tensor[0]]) for name, tensor in stack.buffers.items()}
            return dataclasses.replace(stack, buffers=changed)
        return stack


def going_wrong(monkeypatch, *strategies: str, way: str = "weights") -> list[str]:
    """Have these strategies go wrong in the comparison; which were asked for, in order."""
    asked = []

    def watched(strategy, *arguments, **options):
        asked.append(strategy)
        shard = begin(strategy, *arguments, **options)
        return Wrong(shard, way) if strategy in strategies else shard

    monkeypatch.setattr(guard, "begin", watched)
    return asked


def execution(folder) -> dict:
    (file,) = folder.glob("*/run.json")
    return json.loads(file.read_bytes())["execution"]
