"""Modules with layers, weights or buffers that are shared, assigned, frozen or reached by no loss."""

from __future__ import annotations

import torch
from candidates import CLASSES
from torch import nn
from torch.nn import functional

# --- Layers and weights that are used more than once


def one_relu_twice() -> nn.Module:
    act = nn.ReLU()
    return nn.Sequential(nn.Linear(6, 8), act, nn.Linear(8, 8), act, nn.Linear(8, CLASSES))


def one_dropout_twice() -> nn.Module:
    act, drop = nn.ReLU(inplace=True), nn.Dropout(0.3)
    return nn.Sequential(nn.Linear(6, 8), act, drop, nn.Linear(8, 8), act, drop, nn.Linear(8, CLASSES))


def one_pooling_twice() -> nn.Module:
    act, pool = nn.ReLU(), nn.MaxPool2d(2)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), act, pool, nn.Conv2d(4, 4, 3, padding=1), act, pool,
        nn.Flatten(), nn.Linear(16, CLASSES),
    )  # fmt: skip


def nested() -> nn.Module:
    act = nn.ReLU()
    inner = nn.Sequential(nn.Linear(6, 8), act, nn.Linear(8, 8), act)
    return nn.Sequential(nn.Identity(), inner, nn.Sequential(act, nn.Linear(8, CLASSES)))


def one_block_twice() -> nn.Module:
    block = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
    return nn.Sequential(block, block, nn.Linear(6, CLASSES))


def one_linear_twice() -> nn.Module:
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(6, CLASSES))


class ConvTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.conv = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.last = nn.BatchNorm2d(4), nn.Linear(4, CLASSES)

    def forward(self, x):
        x = torch.relu(self.first(x))
        x = torch.relu(self.norm(self.conv(x)))
        return self.last(self.norm(self.conv(x)).mean((2, 3)))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, CLASSES)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x)))))


def tied_chain() -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, CLASSES))
    net[2].weight = net[0].weight
    return net


class FromAList(nn.Module):
    """It reaches its weight by a reference that is no attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, CLASSES)
        self.weights = [self.first.weight]

    def forward(self, x):
        return self.last(torch.tanh(functional.linear(x, self.weights[0], self.first.bias)))


# --- Buffers


class Centred(nn.Module):
    """how: its mean is changed in place, assigned, or both; changed in evaluation mode too."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.first, self.last, self.how = nn.Linear(6, 8), nn.Linear(8, CLASSES), how
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("scale", torch.tensor(1.0), persistent=False)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        if self.training or self.how == "always":
            now = h.detach().mean(0)
            if self.how == "in place":
                self.mean.mul_(0.5).add_(now, alpha=0.5)
            else:
                self.mean = 0.5 * self.mean + 0.5 * now
            self.seen += 1
            self.scale = self.scale * 1.5
        return self.last((h - self.mean) * self.scale)


class Norms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 4, 3), nn.Linear(4, CLASSES)
        self.average = nn.BatchNorm2d(4, momentum=None)
        self.untracked = nn.BatchNorm2d(4, track_running_stats=False, affine=False)

    def forward(self, x):
        x = self.average(self.first(x))
        return self.last(torch.tanh(self.untracked(x)).mean((2, 3)))


def chain_with_a_buffer() -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    net[1].register_buffer("idle", torch.arange(3))
    return net


# --- What is frozen, and what no loss reaches


def frozen_chain(names: tuple[str, ...] = ("0.weight", "0.bias")) -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    for name in names:
        net.get_parameter(name).requires_grad_(False)
    return net


def frozen_convolution() -> nn.Module:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, CLASSES),
    )  # fmt: skip
    net[0].requires_grad_(False)
    net[1].requires_grad_(False)
    return net


def frozen_image_chain() -> nn.Module:
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, CLASSES))
    net[0].weight.requires_grad_(False)
    return net


def chain_with_a_parameter() -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    net.register_parameter("idle", nn.Parameter(torch.ones(3)))
    return net


class Unreached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.idle = nn.Linear(6, 8), nn.Linear(8, CLASSES), nn.Linear(8, 8)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


class SometimesReached(nn.Module):
    """A layer that chance leaves out, as in stochastic depth."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        if not self.training or torch.rand(()) < 0.5:
            h = h + torch.tanh(self.middle(h))
        return self.last(h)


class Scalars(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, CLASSES)
        self.scale, self.shift = nn.Parameter(torch.tensor(1.5)), nn.Parameter(torch.tensor(0.0))

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)) + self.shift) * self.scale
