"""Statistics of paired differences: t-interval, exact p value, smallest detectable difference.

In all functions `differences` is an array (..., replicates) with one number per pair, NaN where a pair is missing; n is
the number of pairs present, m their mean and s their standard deviation (n - 1 in the denominator).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]

LEAST_FOR_P = 6
"""The smallest number of pairs for which a p value is given: 5 pairs cannot give one below 2 / 2**5 = 0.0625."""

_MOST_EXACT = 30
"""The largest number of pairs for which all 2**n sign assignments are counted."""


def paired_interval(differences: npt.ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats, Floats]:
    """Student's t-interval for the mean of paired differences: m -+ t s / sqrt(n).

    t is the (1 + confidence) / 2 quantile of Student's t with n - 1 degrees of freedom. The interval is exact if the
    differences are independent and normal.

    Parameters
    ----------
    differences : array_like, (..., replicates)
        NaN where a pair is missing.
    confidence : float
        In (0, 1).

    Returns
    -------
    mean, low, high : ndarray, (...,)
        low and high are NaN for n = 1, since one difference has no spread; all three are NaN for n = 0. Differences
        that are all equal give an interval of width 0.

    Notes
    -----
    Source: Student, "The probable error of a mean", Biometrika 6 (1908).
    """
    n, mean, error = moments(differences)
    half = special.stdtrit(np.maximum(n - 1, 1), (1 + confidence) / 2) * error
    return mean, mean - half, mean + half


def paired_band(differences: npt.ArrayLike, critical: float) -> tuple[Floats, Floats]:
    """A simultaneous interval for the mean of paired differences: m -+ critical s / sqrt(n).

    Parameters
    ----------
    differences : array_like, (..., replicates)
        NaN where a pair is missing.
    critical : float
        The critical value of the family, from `simultaneous.max_t`.

    Returns
    -------
    low, high : ndarray, (...,)
        NaN for fewer than two pairs. NaN also where all differences are equal and not 0: accuracies are multiples of
        1 / examples, so a few pairs may agree by chance, and their spread is then unknown. Differences that are all 0
        give an interval of width 0, also if `critical` is NaN because no comparison of the family has any spread.
    """
    _, mean, error = moments(differences)
    half = np.where((error == 0) & (mean != 0), np.nan, np.nan_to_num(critical) * error)
    return mean - half, mean + half


def sign_flip_p(differences: npt.ArrayLike) -> Floats:
    """The two-sided p value of the exact sign-flip test.

    p = (number of the 2**n assignments of signs to the differences for which |sum| is at least the observed |sum|)
    / 2**n. The only assumption is that under the null hypothesis each difference is as likely as its negative. p is
    never below 2 / 2**n, see `smallest_p`. For more than 30 pairs it is the p value of Student's paired t-test, which
    is then nearly the same.

    Parameters
    ----------
    differences : array_like, (..., replicates)
        NaN where a pair is missing.

    Returns
    -------
    ndarray, (...,)
        NaN for fewer than `LEAST_FOR_P` pairs.

    Notes
    -----
    Source: Fisher, "The Design of Experiments" (1935), section 21.
    """
    table = np.asarray(differences, dtype=np.float64)
    flat = table.reshape(-1, table.shape[-1])
    return np.array([_sign_flip_p(row[~np.isnan(row)]) for row in flat]).reshape(table.shape[:-1])


def smallest_p(n: npt.ArrayLike) -> Floats:
    """The smallest p value of the sign-flip test for n pairs, 2 / 2**n: that of differences of one sign."""
    return np.asarray(np.minimum(1.0, 2.0 ** (1.0 - np.asarray(n, dtype=np.float64))))


def detectable(differences: npt.ArrayLike, confidence: float = 0.95, power: float = 0.8) -> Floats:
    """The smallest detectable difference, for this number of pairs and this spread.

    It is d = c s / sqrt(n), where c is such that a noncentral t with n - 1 degrees of freedom and noncentrality c
    exceeds the (1 + confidence) / 2 quantile of Student's t with probability `power`. If the true mean is d and the
    true standard deviation s, the t-interval lies above 0 with that probability. (It lies below 0 with a probability
    under 1e-5, which is neglected.)

    Parameters
    ----------
    differences : array_like, (..., replicates)
        NaN where a pair is missing.
    confidence : float
        Of the t-interval, in (0, 1).
    power : float
        In (0, 1).

    Returns
    -------
    ndarray, (...,)
        In the unit of the differences; NaN for n < 2.

    Notes
    -----
    Source: Cohen, "Statistical Power Analysis for the Behavioral Sciences" (1988), chapter 2.
    """
    n, _, error = moments(differences)
    factors = {count: _noncentrality(int(count), confidence, power) for count in np.unique(n)}
    return np.asarray(error * np.vectorize(factors.__getitem__, otypes=[np.float64])(n))


def moments(differences: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Number of pairs, mean and standard error s / sqrt(n), each (...,).

    Mean and standard error are NaN where undefined. The standard error of equal differences is exactly 0.
    """
    table = np.asarray(differences, dtype=np.float64)
    there = ~np.isnan(table)
    n = there.sum(axis=-1)
    mean = np.where(there, table, 0.0).sum(axis=-1) / np.where(n > 0, n, np.nan)
    squares = np.where(there, table - mean[..., None], 0.0) ** 2
    error = np.sqrt(squares.sum(axis=-1) / np.where(n > 1, n * (n - 1.0), np.nan))
    largest = np.abs(np.where(there, table, 0.0)).max(axis=-1, initial=0.0)
    # The rounding error of equal differences is not spread.
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
    # Accuracies are multiples of 1 / examples, so sums often tie; rounding must not break the ties.
    least = abs(differences.sum()) - 1e-10 * np.abs(differences).sum()
    if least <= 0:
        return 1.0
    # All sums are a sum over one half of the pairs plus one over the other: 2**(n/2) numbers, not 2**n.
    first, second = _signed_sums(differences[: n // 2]), np.sort(_signed_sums(differences[n // 2 :]))
    above = len(second) - np.searchsorted(second, least - first, side="left")
    return float(2 * above.sum() / 2.0**n)  # by symmetry, as many lie below -least


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
