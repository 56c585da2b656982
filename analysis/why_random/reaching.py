"""How many steps a training takes to reach given losses, and how many trainings never do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..intervals import paired_interval

LEVELS = (2.0, 1.0, 0.5, 0.1)
"""Training losses, in nats an example; guessing among ten classes costs ln 10 = 2.3."""

_TRAINING = ["run", "round", "arm", "draw"]


def steps_to(curves: pd.DataFrame, level: float) -> pd.Series[float]:
    """The first evaluated step with a training loss at or below `level`, by run, round, arm, draw and replicate.

    NaN for a training that never had one.
    """
    keys = [curves[key] for key in (*_TRAINING, "replicate")]
    # A loss that is NaN is below nothing.
    return curves["step"].where(curves["train_loss"] <= level).groupby(keys, sort=False).min()


def reaching(curves: pd.DataFrame, levels: Sequence[float] = LEVELS, confidence: float = 0.95) -> pd.DataFrame:
    """Steps to given training losses, over replicates: a row per run, round, arm, draw and level.

    curves: as `Saved.curves`, or rows of it. Columns: run, round, arm, draw, level, n (replicates), reached (those
    that did), diverged (those whose last training loss is not a number), mean, low, high, earliest, latest. The mean
    and Student's interval are over the replicates that reached the level; how many did not, n - reached, must be
    read beside them.
    """
    rows = []
    for key, part in curves.groupby(_TRAINING, sort=False):
        # Not `last`, which would pass over a loss that is no number.
        last = part.sort_values("step").groupby("replicate").tail(1)["train_loss"]
        for level in levels:
            steps = steps_to(part, level).to_numpy(dtype=np.float64)
            there = steps[~np.isnan(steps)]
            mean, low, high = (float(value) for value in paired_interval(steps, confidence))
            ends = (there.min(), there.max()) if len(there) else (np.nan, np.nan)
            counts = (len(steps), len(there), int(last.isna().sum()))
            rows.append((*key, level, *counts, mean, low, high, *ends))
    names = ["level", "n", "reached", "diverged", "mean", "low", "high", "earliest", "latest"]
    return pd.DataFrame(rows, columns=[*_TRAINING, *names])
