"""How many steps trainings take to reach given training losses, and how many never reach them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..intervals import paired_interval

LEVELS = (2.0, 1.0, 0.5, 0.1)
"""Training losses, in nats per example; guessing among ten classes has a loss of ln 10 = 2.3."""

_TRAINING = ["run", "round", "arm", "draw"]


def steps_to(curves: pd.DataFrame, level: float) -> pd.Series[float]:
    """The first evaluated step with a training loss at or below `level`, by run, round, arm, draw and replicate.

    Parameters
    ----------
    curves : DataFrame
        Rows of `Saved.curves`.
    level : float
        In nats per example.

    Returns
    -------
    Series
        NaN for a training that never reaches it.
    """
    keys = [curves[key] for key in (*_TRAINING, "replicate")]
    # Comparisons with NaN are False.
    return curves["step"].where(curves["train_loss"] <= level).groupby(keys, sort=False).min()


def reaching(curves: pd.DataFrame, levels: Sequence[float] = LEVELS, confidence: float = 0.95) -> pd.DataFrame:
    """Steps to given training losses, over replicates: a row per run, round, arm, draw and level.

    Parameters
    ----------
    curves : DataFrame
        Rows of `Saved.curves`.
    levels : sequence of float
        In nats per example.
    confidence : float
        Of the intervals, in (0, 1).

    Returns
    -------
    DataFrame
        Columns run, round, arm, draw, level, n (replicates), reached (those that reach the level), diverged (those
        whose last training loss is NaN), mean, low, high, earliest and latest. The mean and its t-interval are over the
        replicates that reach the level, and are to be read together with n - reached, those that do not.
    """
    rows = []
    for key, group in curves.groupby(_TRAINING, sort=False):
        # `last` would skip a loss that is NaN.
        last = group.sort_values("step").groupby("replicate").tail(1)["train_loss"]
        for level in levels:
            steps = steps_to(group, level).to_numpy(dtype=np.float64)
            there = steps[~np.isnan(steps)]
            mean, low, high = (float(value) for value in paired_interval(steps, confidence))
            ends = (there.min(), there.max()) if len(there) else (np.nan, np.nan)
            counts = (len(steps), len(there), int(last.isna().sum()))
            rows.append((*key, level, *counts, mean, low, high, *ends))
    names = ["level", "n", "reached", "diverged", "mean", "low", "high", "earliest", "latest"]
    return pd.DataFrame(rows, columns=[*_TRAINING, *names])
