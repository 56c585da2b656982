"""Small runs that are fitted to made data, for the tests of what comes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from tickets.config import parse_run
from tickets.data import Examples
from tickets.fitting import Fitted, fit
from tickets.source import Source


def drawing_net(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Its constructor draws from every global generator."""
    np.random.random()
    return nn.Sequential(nn.Linear(input_shape[0], 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, classes))


def tanh_net(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Two layers that no batched product without autograd computes."""
    return nn.Sequential(nn.Linear(input_shape[0], 4), nn.Tanh(), nn.Linear(4, classes))


def source(shape: tuple[int, ...] = (6,)) -> Source:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, *shape, generator=generator)
    labels = torch.arange(40) % 3
    parts = [part for cut in (slice(24), slice(24, 30), slice(30, 40)) for part in (inputs[cut], labels[cut])]
    return Source("made", "00", Examples(*parts, classes=3))


def fitted(shape: tuple[int, ...] = (6,), **changes: Any) -> Fitted:
    table: dict[str, Any] = {
        "name": "tiny",
        "data": "digits",
        "model": {"name": "mlp", "widths": [5]},
        "train": {"batch_size": 8, "steps": 4},
    }
    return fit(parse_run({**table, **changes}), source(shape))
