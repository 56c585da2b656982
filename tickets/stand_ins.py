"""Values that stand for trained ones where a run is tried on initial values."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

MOVED = 0.01  # the standard deviation of what is added to initial values to stand for trained ones
WHEN = "tried on initial values, before any training"


def moved(values: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """The values with a little noise, to stand for trained ones."""
    return {
        name: value + MOVED * torch.randn(value.shape, generator=generator).to(value.dtype)
        if value.is_floating_point()
        else value.clone()
        for name, value in values.items()
    }
