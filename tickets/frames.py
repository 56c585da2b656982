"""Initial weights without randomness: the same values for every seed, and different for each unit.

A rule fills a weight in-place, as those of initial.py do. The weight is viewed as a matrix (rows, columns) =
(out, all other dimensions), one row per unit. Its root mean square is exactly `scale`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tickets.config.types import AddedLater, Positive
from tickets.initial import glorot_deviation

_BITS = 52  # of a point of the sequence: it and the half that is added to it fit into float64
_GOLDEN = (math.sqrt(5) - 1) / 2


def dct(weight: Tensor, *, scale: AddedLater[Positive | None] = None) -> None:
    """Cosines: the same values for every seed, with the variance of `glorot_normal`, and different for each unit.

    The weight is viewed as a matrix (rows, columns) = (out, all other dimensions). For row k and column j, from 0:

        weight[k, j] = d * sqrt(2) * cos(pi * (k + 1) * (j + 1/2) / n),   n = max(rows + 1, columns)

    with d = scale. These are d * sqrt(n) times the frequencies 1 to `rows` of the orthonormal DCT-II of size n (Ahmed,
    Natarajan & Rao 1974), cut to the number of columns. The constant frequency 0 is left out: its unit would have equal
    weights, and with a single column the weights of another unit.

    The mean square is exactly d**2. If rows < columns, the rows are orthogonal and each has mean 0, so d**2 is also the
    variance. Otherwise the mean is near 0 if there are many columns (within 0.07 d for 10, at least 0.9 d for 1). No
    two units have the same incoming weights, since the first column decreases strictly from row to row, nor the same
    outgoing weights, since the first row decreases strictly from column to column.

    Parameters
    ----------
    weight
        The weight to fill.
    scale
        Greater than 0. None for the standard deviation of `glorot_normal`, sqrt(2 / (fan_in + fan_out)).
    """
    rows, columns = _shape(weight)
    n = max(rows + 1, columns)
    frequency = torch.arange(1, rows + 1, dtype=torch.float64)[:, None]  # (rows, 1)
    place = torch.arange(columns, dtype=torch.float64) + 0.5  # (columns,)
    values = _size(weight, scale) * math.sqrt(2) * torch.cos(math.pi / n * frequency * place)
    weight.copy_(values.reshape(weight.shape))


def hadamard(weight: Tensor, *, scale: Positive | None = None) -> None:
    """Signs of Walsh and Hadamard, times `scale`: part of Sylvester's matrix of order N, a power of 2.

    The matrix has the entries S[a, b] = (-1)**(number of binary digits that are 1 in both a and b), from 0, and N is
    the least power of 2 that is >= max(rows, columns). With the indices

        K = 0, 1, 2, 4, ..., N / 2, then i * g mod N for i = 1, 2, ... that are not among these,

    g the odd one of floor(N * (sqrt(5) - 1) / 2) and the number after it, the weight at row k and column j is

        d * S[K[k], j] if rows < columns,   d * S[k, K[j]] otherwise,   d = scale.

    If the larger of rows and columns is a power of 2, the rows (rows <= columns) or the columns are orthogonal.

    No two rows are equal or opposite. Where there are fewer than 1 + log2(N) columns and more than 2**(columns - 1)
    rows, signs alone cannot make them so: each block of 2**(columns - 1) rows then repeats the signs of the first one,
    and block q, from 0, is multiplied by a number that is proportional to q + 1, with d**2 as the mean square of all
    weights. No two columns are equal or opposite either, if there are at least 1 + log2(N) rows.

    Parameters
    ----------
    weight
        The weight to fill.
    scale
        Greater than 0. None for the standard deviation of `glorot_normal`, sqrt(2 / (fan_in + fan_out)).

    Source: Sylvester 1867; the rows are Walsh functions (Walsh 1923) in Hadamard's order.
    """
    rows, columns = _shape(weight)
    digits = (max(rows, columns) - 1).bit_length()
    if rows < columns:
        signs = _signs(_spread(digits, rows), np.arange(columns))
    else:
        signs = _signs(np.arange(rows), _spread(digits, columns))
    if columns < 1 + digits and rows >= columns:
        # The first columns are 0, 1, 2, 4, ...: the signs of a row repeat after 2**(columns - 1) rows.
        signs = signs * (1 + (np.arange(rows) >> (columns - 1)))[:, None]
    _fill(weight, torch.from_numpy(signs), scale)


def quasi_normal(weight: Tensor, *, scale: Positive | None = None) -> None:
    """Normal quantiles of Haber's sequence of points: like Gaussian weights, but the same for every seed.

    For row k and column j, from 1, and p[j] the j-th prime:

        weight[k, j] = c * Q(u[k, j]),   u[k, j] = the fractional part of k * (k + 1) / 2 * sqrt(p[j])

    with Q the inverse of the normal distribution function, and c such that the mean square is scale**2. To make u the
    same on every machine, and never 0 or 1, sqrt(p[j]) is cut to 52 binary digits after the point, the product is
    exact, and 2**-53 is added. No two of the first 2**25 rows are equal.

    After one and three ReLU layers of 128 and 512 units the cosines between examples of MNIST-1D deviate from the
    arc-cosine kernel at most 1.15 times as much as with Gaussian draws (tests/test_frames.py). Square layers of one
    size get the same matrix: a sequence whose points are far from independent, such as Sobol's, does worse the more of
    them follow each other.

    Parameters
    ----------
    weight
        The weight to fill.
    scale
        Greater than 0. None for the standard deviation of `glorot_normal`, sqrt(2 / (fan_in + fan_out)).

    Source: Judd, "Numerical methods in economics" (1998), section 9.2, which names the sequence after Haber.
    """
    _fill(weight, _quantiles(*_shape(weight)), scale)


def quasi_orthogonal(weight: Tensor, *, scale: Positive | None = None) -> None:
    """Orthonormal rows or columns, times a number: `quasi_normal` after Gram and Schmidt.

    The shorter side of the matrix of `quasi_normal`, rows if rows <= columns, is orthonormalised in order, as
    `orthogonal` does with random numbers; then the mean square is made scale**2.

    Parameters
    ----------
    weight
        The weight to fill.
    scale
        Greater than 0. None for the standard deviation of `glorot_normal`, sqrt(2 / (fan_in + fan_out)).
    """
    values = _quantiles(*_shape(weight))
    wide = values.shape[0] < values.shape[1]
    q, r = torch.linalg.qr(values.T if wide else values)
    q = q * r.diagonal().sign()  # as Gram and Schmidt have it, whatever the library's signs
    _fill(weight, q.T if wide else q, scale)


def _shape(weight: Tensor) -> tuple[int, int]:
    return weight.shape[0], weight[0].numel()


def _size(weight: Tensor, scale: float | None) -> float:
    return glorot_deviation(weight) if scale is None else scale


def _fill(weight: Tensor, values: Tensor, scale: float | None) -> None:
    """Copy a matrix, multiplied so that its root mean square is `scale`."""
    size = _size(weight, scale) / values.square().mean().sqrt()
    weight.copy_((size * values).reshape(weight.shape))


def _spread(digits: int, count: int) -> npt.NDArray[np.int64]:
    """The first `count` of the indices K of `hadamard`, for N = 2**digits."""
    order = 1 << digits
    step = int(order * _GOLDEN) | 1
    powers = [0, *(1 << digit for digit in range(digits))]
    others = (i * step % order for i in range(1, order))
    return np.array((powers + [index for index in others if index & (index - 1)])[:count])


def _signs(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """S[left, right] of `hadamard`, float64."""
    both = left[:, None] & right
    odd = np.zeros_like(both)
    while both.any():
        odd ^= both & 1
        both = both >> 1
    signs: npt.NDArray[np.float64] = 1.0 - 2.0 * odd
    return signs


def _quantiles(rows: int, columns: int) -> Tensor:
    """Q(u[k, j]) of `quasi_normal`, (rows, columns) float64."""
    roots = np.sqrt(_primes(columns).astype(np.float64))
    fractions = np.floor((roots - np.floor(roots)) * 2.0**_BITS).astype(np.uint64)
    k = np.arange(1, rows + 1, dtype=np.uint64)
    triangles = k * (k + np.uint64(1)) // np.uint64(2)
    # A product wraps modulo 2**64, a multiple of 2**52, so that its last 52 digits are exact.
    points = (triangles[:, None] * fractions) & np.uint64(2**_BITS - 1)
    quantiles: Tensor = torch.special.ndtri(torch.from_numpy((points.astype(np.float64) + 0.5) / 2.0**_BITS))
    return quantiles


def _primes(count: int) -> npt.NDArray[np.int64]:
    """The first primes, by the sieve of Eratosthenes up to a bound on the last (Rosser & Schoenfeld 1962)."""
    n = max(count, 6)
    prime = np.ones(int(n * (math.log(n) + math.log(math.log(n)))) + 1, dtype=bool)
    prime[:2] = False
    for factor in range(2, math.isqrt(len(prime)) + 1):
        if prime[factor]:
            prime[factor * factor :: factor] = False
    return np.flatnonzero(prime)[:count]
