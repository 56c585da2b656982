"""Subset sums: which of a few random numbers add up to a target.

Up to 24 numbers are searched exactly, by meeting in the middle (`tickets.stack.kernels.subset_sums`). Of more, 24 are
searched exactly, the smallest positive and the smallest negative ones in turn, and the others are taken greedily: the
result is at least as near as the 24 alone come, but a nearer one may exist.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickets.approximation.plain_search import count_bits, search_plainly
from tickets.errors import InputError
from tickets.stack.jit import jit_is_off

EXACT = 24  # numbers up to which the search is exact
MOST = 62  # numbers: a subset is the bits of an int64

Numbers = npt.NDArray[np.float64]
Bits = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Subsets:
    """Subsets that were found, in the shape of the targets.

    Attributes
    ----------
    bits
        int64: bit k is set where number k is in the subset.
    sums
        float64: the sum of these numbers, added in their order.
    """

    bits: Bits
    sums: Numbers

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many numbers are in each subset."""
        return count_bits(self.bits)


def find_subsets(numbers: Numbers, targets: Numbers, fewest_within: float | None = None) -> Subsets:
    """For each target, the subset of its row's numbers whose sum is nearest.

    Of subsets with equal errors, one with the fewest numbers is found; which one of these is determined by the input.
    A target that is exactly 0 has the empty subset.

    Parameters
    ----------
    numbers
        (rows, n), 1 <= n <= 62.
    targets
        (rows, m): the targets of each row of numbers.
    fewest_within
        A tolerance: where subsets have a sum within it, one with the fewest numbers is found instead of the nearest.

    Returns
    -------
    Subsets
        (rows, m). With at most 24 numbers they are optimal, up to the rounding of a float64 sum.

    Raises
    ------
    InputError
        If n is out of range, or the number of rows differs.
    """
    if numbers.ndim != 2 or targets.ndim != 2 or len(numbers) != len(targets):
        raise InputError(f"numbers {numbers.shape} and targets {targets.shape}: must be (rows, n) and (rows, m)")
    check_count(numbers.shape[1])
    order = _in_turn(numbers)
    bits, sums = np.zeros(targets.shape, np.int64), np.zeros(targets.shape)
    arguments = (
        np.ascontiguousarray(numbers, np.float64), order, np.ascontiguousarray(targets, np.float64),
        float(fewest_within or 0.0), fewest_within is not None, bits, sums,
    )  # fmt: skip
    if jit_is_off():
        search_plainly(*arguments)
    else:
        # Imported where it is used: it compiles.
        from tickets.stack.kernels.subset_sums import search_subsets

        search_subsets(*arguments)
    return Subsets(bits, sums)


def _in_turn(numbers: Numbers) -> Bits:
    """The places of each row's numbers: the positive and the negative ones in turn, from the smallest on.

    Of numbers of one sign alone, no sum is near to a target of the other sign.
    """
    ascending = np.argsort(np.abs(numbers), axis=1, kind="stable")
    negative = np.take_along_axis(numbers, ascending, axis=1) < 0
    rank = np.where(negative, np.cumsum(negative, axis=1), np.cumsum(~negative, axis=1))
    return np.take_along_axis(ascending, np.argsort(rank, axis=1, kind="stable"), axis=1)


def check_count(candidates: int) -> None:
    """Raise InputError unless there are 1 to 62 candidates."""
    if not 1 <= candidates <= MOST:
        raise InputError(f"candidates = {candidates}: must be a whole number from 1 to {MOST}")
