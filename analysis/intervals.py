"""What paired differences tell: the t-interval, an exact p, what could have been found.

Everywhere `differences` is an array (..., replicates) of one number a pair, NaN where a pair is missing; n is the
number of pairs that are there, m their mean and s their standard deviation (n - 1 in the denominator).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]

LEAST_FOR_P = 6
"""Pairs from which a p is given: with 5 no p below 2 / 2**5 = 0.0625 can come out, whatever the differences."""

_MOST_EXACT = 30
"""Pairs up to which all 2**n sign assignments are counted."""


def paired_interval(differences: npt.ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats, Floats]:
    """(mean, low, high), each (...,): m and m -+ t s / sqrt(n), Student's interval for paired differences.

    t is the (1 + confidence) / 2 quantile of Student's t with n - 1 degrees of freedom. Exact where the
    differences are independent and normal. n = 1: low and high are NaN, for one difference has no spread;
    n = 0: the mean too. Differences that are all the same give an interval without width.
    Source: Student, "The probable error of a mean", Biometrika 6 (1908).
    """
    n, mean, error = moments(differences)
    half = special.stdtrit(np.maximum(n - 1, 1), (1 + confidence) / 2) * error
    return mean, mean - half, mean + half


def paired_band(differences: npt.ArrayLike, critical: float) -> tuple[Floats, Floats]:
    """(low, high), each (...,): m -+ critical s / sqrt(n), where critical is that of `simultaneous.max_t`.

    NaN for fewer than two pairs, and where all differences are the same and not 0: accuracies are multiples of
    1 / examples, so that a few pairs may agree by chance, and how far they spread is then unknown. Differences that are
    all 0 give an interval without width, also where critical is NaN since nothing in the family has any spread.
    """
    _, mean, error = moments(differences)
    half = np.where((error == 0) & (mean != 0), np.nan, np.nan_to_num(critical) * error)
    return mean - half, mean + half


def sign_flip_p(differences: npt.ArrayLike) -> Floats:
    """The two-sided p, (...,), of the exact sign-flip test; NaN for fewer than LEAST_FOR_P pairs.

    p = (number of the 2**n ways to choose the signs of the differences for which |sum| is at least the
    observed |sum|) / 2**n. It supposes only that each difference is as likely as its negative if there is
    nothing to find. Never below 2 / 2**n, see `smallest_p`. Above 30 pairs Student's paired t-test stands for
    it, which then differs from it by less than matters.
    Source: Fisher, "The Design of Experiments" (1935), section 21.
    """
    table = np.asarray(differences, dtype=np.float64)
    flat = table.reshape(-1, table.shape[-1])
    return np.array([_sign_flip_p(row[~np.isnan(row)]) for row in flat]).reshape(table.shape[:-1])


def smallest_p(n: npt.ArrayLike) -> Floats:
    """The smallest p that the sign-flip test of n pairs can give, 2 / 2**n: all differences of one sign."""
    return np.asarray(np.minimum(1.0, 2.0 ** (1.0 - np.asarray(n, dtype=np.float64))))


def detectable(differences: npt.ArrayLike, confidence: float = 0.95, power: float = 0.8) -> Floats:
    """The smallest true difference, (...,), that so many pairs with this spread would have shown.

    It is d = c s / sqrt(n), where c is such that a noncentral t with n - 1 degrees of freedom and
    noncentrality c exceeds the (1 + confidence) / 2 quantile of Student's t with probability `power`: were the
    true mean d and the true standard deviation s, the interval would lie above 0 with that probability. (Below
    0 it lies with less than 1e-5, which is left out.) NaN for n < 2.
    Source: Cohen, "Statistical Power Analysis for the Behavioral Sciences" (1988), chapter 2.
    """
    n, _, error = moments(differences)
    factors = {count: _noncentrality(int(count), confidence, power) for count in np.unique(n)}
    return np.asarray(error * np.vectorize(factors.__getitem__, otypes=[np.float64])(n))


def moments(differences: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """(n, m, s / sqrt(n)), each (...,); NaN where there is none; 0 for equal differences, whatever their rounding."""
    table = np.asarray(differences, dtype=np.float64)
    there = ~np.isnan(table)
    n = there.sum(axis=-1)
    mean = np.where(there, table, 0.0).sum(axis=-1) / np.where(n > 0, n, np.nan)
    squares = np.where(there, table - mean[..., None], 0.0) ** 2
    error = np.sqrt(squares.sum(axis=-1) / np.where(n > 1, n * (n - 1.0), np.nan))
    largest = np.abs(np.where(there, table, 0.0)).max(axis=-1, initial=0.0)
    # Equal differences leave a residue of rounding, which is no spread.
    same = error <= 1e-12 * largest
    return n, mean, np.where(same, 0.0, error)


@lru_cache(maxsize=1024)
def _noncentrality(n: int, confidence: float, power: float) -> float:
    if n < 2:
        return float("nan")
    quantile = special.stdtrit(n - 1, (1 + confidence) / 2)
    return float(special.nctdtrinc(n - 1, 1 - power, quantile))


def _sign_flip_p(differences: Floats) -> float:
    n = len(differences)
    if n < LEAST_FOR_P:
        return float("nan")
    if n > _MOST_EXACT:
        return _t_test_p(differences)
    # Accuracies are multiples of 1 / examples, so sums tie often; rounding must not part them.
    least = abs(differences.sum()) - 1e-10 * np.abs(differences).sum()
    if least <= 0:
        return 1.0
    # All sums are a sum over one half of the pairs plus one over the other: 2**(n/2) numbers, not 2**n.
    first, second = _signed_sums(differences[: n // 2]), np.sort(_signed_sums(differences[n // 2 :]))
    above = len(second) - np.searchsorted(second, least - first, side="left")
    return float(2 * above.sum() / 2.0**n)  # as many lie below -least


def _signed_sums(values: Floats) -> Floats:
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _t_test_p(differences: Floats) -> float:
    n, mean, error = moments(differences)
    if error == 0:
        return float(mean == 0)
    tail: Any = special.stdtr(n - 1, -abs(mean / error))
    return float(2 * tail)
