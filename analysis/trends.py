"""Rank correlations, a number per replicate, and their interval."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from .intervals import moments

Floats = npt.NDArray[np.float64]

LEAST_POINTS = 3
"""Of a rank correlation; with two it is 1 or -1, whatever the truth."""


def rank_correlations(x: npt.ArrayLike, values: npt.ArrayLike) -> Floats:
    """Spearman's rank correlation of each replicate's values with x; equal values share their mean rank.

    Parameters
    ----------
    x : array_like, (points,)
    values : array_like, (points, replicates)
        NaN where there is no value; a replicate's points without one are left out.

    Returns
    -------
    ndarray, (replicates,)
        In [-1, 1]; NaN for fewer than `LEAST_POINTS` points. 0 for a replicate whose values are all equal.

    Notes
    -----
    Source: Spearman, "The proof and measurement of association between two things", Am. J. Psychol. 15 (1904).
    """
    x, table = np.asarray(x, dtype=np.float64), np.asarray(values, dtype=np.float64)
    return np.array(
        [_spearman(x[there], column[there]) for column, there in zip(table.T, ~np.isnan(table.T), strict=True)]
    )


def trend_interval(correlations: npt.ArrayLike, points: int, confidence: float) -> tuple[float, float, float]:
    """The mean of rank correlations and its interval: m -+ t e, cut to [-1, 1].

    e is the standard error s / sqrt(n), but at least that of one exchange of two neighbouring ranks in each replicate,
    12 / (points (points**2 - 1)) / sqrt(n): ranks are coarse, and replicates that agree show no smaller spread.

    Parameters
    ----------
    correlations : array_like, (replicates,)
        NaN for replicates without one.
    points : int
        The number of points that each is of, at least 2.
    confidence : float
        In (0, 1).

    Returns
    -------
    mean, low, high : float
        The ends are NaN for fewer than two replicates; all are NaN for none.
    """
    n, mean, error = moments(np.asarray(correlations, dtype=np.float64))
    if n < 2:
        return float(mean), math.nan, math.nan
    coarse = 12 / (points * (points**2 - 1)) / math.sqrt(n)
    half = float(special.stdtrit(n - 1, (1 + confidence) / 2)) * max(float(error), coarse)
    return float(mean), max(-1.0, float(mean) - half), min(1.0, float(mean) + half)


def _spearman(x: Floats, values: Floats) -> float:
    if len(values) < LEAST_POINTS:
        return math.nan
    first, second = (stats.rankdata(one) - (len(one) + 1) / 2 for one in (x, values))
    spread = math.sqrt(float((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / spread if spread else 0.0
