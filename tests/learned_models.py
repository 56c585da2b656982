"""Models whose masks are learned in tests: with buffers, random numbers, shared and frozen layers, and gates."""

from __future__ import annotations

import math

from torch import Tensor, nn


class Mixed(nn.Module):
    """A convolution with batch normalisation, dropout, a layer that is used twice and a frozen one."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(1, 3, 3), nn.BatchNorm1d(3)
        self.twice, self.drop = nn.Linear(8, 8), nn.Dropout(0.2)
        self.frozen, self.out = nn.Linear(24, 6), nn.Linear(6, classes)
        for parameter in self.frozen.parameters():
            parameter.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm(self.conv(x.unsqueeze(1))).relu()
        hidden = self.drop(self.twice(self.twice(hidden).tanh()).tanh())
        return self.out(self.frozen(hidden.flatten(1)).relu())


class Gated(nn.Module):
    """A GRU and attention."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.gru, self.attention = nn.GRU(2, 4, batch_first=True), nn.MultiheadAttention(4, 2, batch_first=True)
        self.out = nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.gru(x.reshape(len(x), 5, 2))
        return self.out(self.attention(states, states, states, need_weights=False)[0].mean(1))


class Counting(nn.Module):
    """Its module counts its steps in an attribute, so that each network needs a module of its own."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.layer, self.out, self.steps = nn.Linear(features, 8), nn.Linear(8, classes), 0

    def forward(self, x: Tensor) -> Tensor:
        self.steps += self.training
        outputs: Tensor = self.out(self.layer(x.flatten(1)).tanh())
        return outputs * (1 + 0.1 * min(self.steps, 5)) if self.training else outputs


def mixed(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return Mixed(classes)


def gated(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return Gated(classes)


def counting(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return Counting(math.prod(input_shape), classes)
