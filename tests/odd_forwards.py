"""Modules with hooks, forwards of their own, odd options, or outputs that depend on the mode or on chance."""

from __future__ import annotations

import torch
from candidates import CLASSES
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

# --- Attributes added to modules, and objects that replace them


def hooked(kind: str) -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    if kind == "forward":
        net[0].register_forward_hook(lambda module, inputs, output: output * 0.5)
    elif kind == "before":
        net[2].register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))
    elif kind == "backward":
        net[1].register_full_backward_hook(lambda module, grads, outputs: (grads[0] * 3,))
    elif kind == "gradient":
        net[0].weight.register_hook(lambda gradient: gradient * 3)
    else:
        net[1].forward = torch.tanh
    return net


def patched_convolution() -> nn.Module:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(144, CLASSES))
    conv, norm = net[0], net[1]
    conv.forward = lambda x: 2 * functional.conv2d(x, conv.weight, conv.bias)
    norm.forward = lambda x: x * norm.weight.view(1, -1, 1, 1)
    return net


def normalised_weights(old: bool) -> nn.Module:
    wrap = nn.utils.weight_norm if old else nn.utils.parametrizations.weight_norm
    return nn.Sequential(wrap(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, CLASSES))


class TwiceLinear(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Leaky(nn.ReLU):
    def forward(self, x):
        return functional.leaky_relu(x, 0.3)


class Doubled(nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


class Skipping(nn.Sequential):
    def forward(self, x):
        return super().forward(x) + x[:, :CLASSES]


def own_classes() -> nn.Module:
    return Skipping(TwiceLinear(6, 8), Leaky(), nn.Linear(8, CLASSES))


def own_layers_in_a_chain() -> nn.Module:
    return nn.Sequential(TwiceLinear(6, 8), nn.ReLU(), nn.Linear(8, 8), Leaky(), nn.Linear(8, CLASSES))


def own_convolution() -> nn.Module:
    return nn.Sequential(Doubled(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, CLASSES))


# --- Options of convolutions and pooling


def odd_convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"), nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 3, padding="same", dilation=2), nn.ReLU(), nn.MaxPool2d(3, ceil_mode=True),
        nn.Conv2d(4, 4, 3, padding=2, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(100, CLASSES),
    )  # fmt: skip


class Indices(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2, return_indices=True)
        self.back, self.last = nn.MaxUnpool2d(2), nn.Linear(256, CLASSES)

    def forward(self, x):
        return self.last(torch.tanh(self.back(*self.pool(self.conv(x)))).flatten(1))


def flattened_twice() -> nn.Module:
    return nn.Sequential(nn.Flatten(2), nn.Linear(64, 4), nn.ReLU(), nn.Flatten(), nn.Linear(4, CLASSES))


# --- What depends on the mode, on chance, on recomputation


class Recomputed(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.first, self.norm, self.drop = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3)
        self.last, self.reentrant = nn.Linear(8, CLASSES), reentrant

    def forward(self, x):
        def middle(h):
            return self.drop(self.norm(torch.tanh(h)))

        return self.last(checkpoint(middle, self.first(x), use_reentrant=self.reentrant))


class Noisy(nn.Module):
    """Scaled noise while it trains, another function in evaluation."""

    def __init__(self, always: bool = False) -> None:
        super().__init__()
        self.first, self.last, self.always = nn.Linear(6, 8), nn.Linear(8, CLASSES), always

    def forward(self, x):
        h = torch.tanh(self.first(x))
        if self.training or self.always:
            h = functional.dropout(h, 0.3, training=True)
        return self.last(h if self.training else 2 * h)


class Counting(nn.Module):
    """It counts its training steps in an attribute that is no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.calls = nn.Linear(6, 8), nn.Linear(8, CLASSES), 0

    def forward(self, x):
        h = torch.tanh(self.first(x))
        if self.training:
            self.calls += 1
            h = h / self.calls
        return self.last(h)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.last = nn.GRU(8, 5, batch_first=True), nn.Linear(5, CLASSES)

    def forward(self, x):
        return self.last(self.gru(x[:, 0])[0][:, -1])


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attend, self.last = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, CLASSES)

    def forward(self, x):
        x = x[:, 0]
        return self.last(self.attend(x, x, x, need_weights=False)[0].mean(1))
