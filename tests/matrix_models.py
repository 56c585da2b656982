"""The kinds of networks of tests/test_every_combination.py, and the made data that all of them take."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

SHAPE, CLASSES = (1, 4, 4), 3


def data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(60, *SHAPE, generator=generator)
    labels = torch.arange(60) % CLASSES
    return inputs[:40], labels[:40], inputs[40:], labels[40:]


class Attention(nn.Module):
    """The rows of the image are tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, bias=False, batch_first=True)
        self.out = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(1, 2)
        return self.out(self.attention(rows, rows, rows, need_weights=False)[0].mean(1))


class Recurrent(nn.Module):
    """The rows of the image are steps in time."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.out = nn.GRU(4, 5, batch_first=True), nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.gru(x.flatten(1, 2))[0][:, -1])


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, CLASSES))


def _conv() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(48, CLASSES))


def _norm() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, CLASSES))


def _dropout() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, CLASSES))


KINDS: Mapping[str, Callable[[], nn.Module]] = {
    "mlp": _mlp,
    "conv": _conv,
    "batch norm": _norm,
    "dropout": _dropout,
    "attention": Attention,
    "recurrent": Recurrent,
}
INCLUDED: Mapping[str, list[str]] = {"attention": ["attention.in_proj_weight"], "recurrent": ["gru.weight_*"]}


def net(input_shape: tuple[int, ...], classes: int, kind: str) -> nn.Module:
    return KINDS[kind]()
