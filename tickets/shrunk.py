"""Which pruned weights training had moved towards 0 when they were pruned (Zhou et al. 2019, section 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:  # the store uses this too, and imports no torch
    from torch import Tensor

_Array = TypeVar("_Array", "Tensor", "np.ndarray")


def shrunk_after(
    before: Mapping[str, _Array],
    theta0: Mapping[str, _Array],
    trained: Mapping[str, _Array],
    mask: Mapping[str, _Array],
    following: Mapping[str, _Array],
) -> dict[str, _Array]:
    """The pruned weights that had shrunk, after one more pruning: abs(trained) < abs(theta0) when they were pruned.

    A weight whose magnitude is the same has not; one whose sign changed has if its magnitude is smaller. NaN has not.

    Parameters
    ----------
    before
        Those among the weights that the round's mask prunes, bool, by prunable tensor.
    theta0, trained
        The replicate's initial values, and its ticket's values after the round.
    mask, following
        The masks of the round and of the next.

    Returns
    -------
    dict
        Those among the weights that the next round's mask prunes, bool, by prunable tensor.
    """
    return {
        name: before[name] | (kept & ~following[name] & (abs(trained[name]) < abs(theta0[name])))
        for name, kept in mask.items()
    }
