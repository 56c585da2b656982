"""Networks that a loop or vmap trains, being no chain of Linear and ReLU layers; named as in a campaign file."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """Linear and ReLU, a skip around another Linear and ReLU, and Linear."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, width), nn.Linear(width, width)
        self.output, self.relu = nn.Linear(width, classes), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) to (n, classes)."""
        hidden = self.relu(self.first(x))
        outputs: Tensor = self.output(hidden + self.relu(self.second(hidden)))
        return outputs


class Attention(nn.Module):
    """One block of a transformer on an input that is read as tokens of `width` numbers; two heads."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.width, self.heads = width, 2
        self.inputs, self.key_query_value = nn.Linear(width, width), nn.Linear(width, 3 * width)
        self.mixed, self.output = nn.Linear(width, width), nn.Linear(width, classes)
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.alone = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens x width) to (n, classes)."""
        hidden = self.inputs(x.reshape(len(x), -1, self.width))
        each = self.width // self.heads
        split = self.key_query_value(self.before(hidden)).reshape(*hidden.shape[:2], 3, self.heads, each)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        shares = torch.softmax(query @ key.transpose(2, 3) / math.sqrt(each), 3)
        hidden = hidden + self.mixed((shares @ value).transpose(1, 2).reshape(hidden.shape))
        hidden = hidden + self.alone(self.between(hidden))
        outputs: Tensor = self.output(hidden.mean(1))
        return outputs


def residual(input_shape: tuple[int, ...], classes: int, width: int) -> nn.Module:
    """See Residual."""
    return Residual(input_shape[0], width, classes)


def tanh(input_shape: tuple[int, ...], classes: int, width: int) -> nn.Module:
    """Two hidden layers with Tanh."""
    return nn.Sequential(
        nn.Linear(input_shape[0], width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, classes)
    )


def normalised(input_shape: tuple[int, ...], classes: int, width: int) -> nn.Module:
    """Two hidden layers with LayerNorm and GELU."""
    return nn.Sequential(
        nn.Linear(input_shape[0], width), nn.LayerNorm(width), nn.GELU(),
        nn.Linear(width, width), nn.LayerNorm(width), nn.GELU(), nn.Linear(width, classes),
    )  # fmt: skip


def attention(input_shape: tuple[int, ...], classes: int, width: int) -> nn.Module:
    """See Attention."""
    return Attention(width, classes)
