"""Modules that cannot be trained, by name, with the error that says so."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from candidates import CLASSES
from odd_weights import frozen_chain
from torch import nn


class Hidden(nn.Module):
    """Its mean is an attribute that is no buffer, and decides what it computes in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.mean = nn.Linear(6, 8), nn.Linear(8, CLASSES), torch.zeros(8)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        if self.training:
            self.mean = 0.5 * self.mean + 0.5 * h.detach().mean(0)
        return self.last(h - self.mean)


class Drawn(nn.Module):
    """Its constructor keeps random numbers that are no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.places = nn.Linear(6, CLASSES), torch.randperm(6)

    def forward(self, x):
        return self.last(x[:, self.places])


class Unseeded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.last(x * (1 + int.from_bytes(os.urandom(2)) / 2**16) if self.training else x)


class Auxiliary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(6, CLASSES)

    def forward(self, x):
        return (self.last(x), x) if self.training else self.last(x)


class Growing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(6, CLASSES)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        if self.training:
            self.seen = torch.cat([self.seen, x[:1, 0]])
        return self.last(x + self.seen.mean())


class CountedInEvaluation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last, self.calls = nn.Linear(6, CLASSES), 0

    def forward(self, x):
        self.calls += 1
        return self.last(x / self.calls if self.training else x)


class Undetached(nn.Module):
    """The gradient would go back through the steps before."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, CLASSES)
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x):
        h = torch.tanh(self.first(x))
        if self.training:
            self.mean = 0.5 * self.mean + h.mean(0)
        return self.last(h - self.mean)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a mean that is no buffer": (Hidden, r"a new module with the trained parameters.*register_buffer"),
    "random numbers of the constructor": (Drawn, r"two plain PyTorch loops.*of its constructor.*register_buffer"),
    "random numbers without a seed": (Unseeded, r"the same values and seeds give other outputs the next time"),
    "two outputs in training": (Auxiliary, r"a plain PyTorch loop over it fails in training: TypeError"),
    "a buffer that grows": (Growing, r"fails in training: ValueError: 'seen': came, went or changed"),
    "evaluations that are counted": (CountedInEvaluation, r"an evaluation must have no side effects"),
    "a buffer with a history": (Undetached, r"fails in training: RuntimeError: Trying to backward"),
    "everything frozen": (
        lambda: frozen_chain(tuple(f"{layer}.{kind}" for layer in (0, 2, 4) for kind in ("weight", "bias"))),
        r"has no parameter to train",
    ),
}
