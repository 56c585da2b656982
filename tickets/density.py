"""Density: the share of the prunable weights that remain. Masks are tensors or arrays; nothing is imported for them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def density(masks: Mapping[str, Any]) -> float:
    """The fraction of the entries of all masks together that is true, from 0 to 1; 1.0 where there are none.

    Parameters
    ----------
    masks
        Bool tensors or arrays of any shape, by name.
    """
    total = sum(math.prod(mask.shape) for mask in masks.values())
    return sum(int(mask.sum()) for mask in masks.values()) / total if total else 1.0
