"""The distributions from which candidates are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from tickets.errors import InputError, nearest
from tickets.seeds import stream

Values = npt.NDArray[np.float32]

CONSTANT = 0.5  # the size of the constant and of the signed constant; the standard deviation of the normal values

DISTRIBUTIONS: Mapping[str, Callable[[np.random.RandomState, tuple[int, ...]], npt.NDArray[np.float64]]] = {
    "uniform": lambda random, shape: random.uniform(-1, 1, shape),
    "normal": lambda random, shape: random.normal(0, CONSTANT, shape),
    "signed_constant": lambda random, shape: np.where(random.uniform(-1, 1, shape) < 0, -CONSTANT, CONSTANT),
    "constant": lambda random, shape: np.full(shape, CONSTANT),
}
"""uniform in [-1, 1); normal with standard deviation 0.5; +0.5 or -0.5; 0.5."""


def draw(values: str, shape: tuple[int, ...], scale: float, *name: int | str) -> Values:
    """Random numbers of a distribution times a scale, float32; the same numbers for the same name of the stream.

    Parameters
    ----------
    values
        The distribution, a key of `DISTRIBUTIONS`.
    shape
        The shape of the result.
    scale
        What they are multiplied by.
    *name
        The name of the stream; see `tickets.seeds.stream`.
    """
    # The streams of RandomState are the same in every version of NumPy.
    random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(stream(*name))))
    return (DISTRIBUTIONS[values](random, shape) * scale).astype(np.float32)


def check_values(values: str) -> None:
    """Raise InputError unless this is the name of a distribution."""
    if values not in DISTRIBUTIONS:
        names = ", ".join(DISTRIBUTIONS)
        raise InputError(f"values = {values!r}: must be one of {names}{nearest(values, DISTRIBUTIONS)}")
