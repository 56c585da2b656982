"""Columns of `rounds` that follow from `curves`, and so are on no disk."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tickets.store.layout import Layout

WITHIN = 1.1
"""What a training's validation loss must reach, as a multiple of the mean lowest one of its run's dense networks."""

LAST_STEP = "last_step"
STEPS_TO_DENSE_LOSS = "steps_to_dense_loss"

_TRAINING = ["run", "replicate", "round", "arm", "draw"]


def with_derived(rounds: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of `rounds` with two further columns.

    - `last_step`: the last evaluated step of the training.
    - `steps_to_dense_loss`: the step at which the validation loss first falls to `WITHIN` times the mean lowest
      validation loss of the run's dense networks, interpolated linearly between evaluations; at least 1, or the step
      that the training started from. A training that never gets there, or that diverged, counts as twice its
      `last_step`. NaN where the run has no dense network to set the loss.

    Unlike the early-stop step, it tells apart two trainings that both go on improving until they end.

    Parameters
    ----------
    rounds : DataFrame
        A row per run, replicate, round, arm and draw.
    curves : DataFrame
        The same trainings, a row per evaluated step; steps rise within each training.
    """
    target = _targets(rounds)
    points = curves[[*_TRAINING, "step", "validation_loss"]].assign(target=curves["run"].map(target).astype(float))
    trainings = points.groupby(_TRAINING, sort=False)
    points["step_before"], points["loss_before"] = trainings["step"].shift(), trainings["validation_loss"].shift()
    reached = points[points["validation_loss"] <= points["target"]].drop_duplicates(_TRAINING)
    step, loss = reached["step"].to_numpy(float), reached["validation_loss"].to_numpy(float)
    step_before, loss_before = reached["step_before"].to_numpy(float), reached["loss_before"].to_numpy(float)
    between = np.isfinite(loss_before) & np.isfinite(step_before)
    with np.errstate(invalid="ignore"):
        share = np.where(between, (loss_before - reached["target"].to_numpy(float)) / (loss_before - loss), 1.0)
    crossed = np.where(between, step_before + share * (step - step_before), step).clip(min=1.0)
    found = trainings["step"].max().rename(LAST_STEP).reset_index()
    found = found.merge(reached[_TRAINING].assign(**{STEPS_TO_DENSE_LOSS: crossed}), on=_TRAINING, how="left")
    table = rounds.merge(found, on=_TRAINING, how="left")
    never = table[STEPS_TO_DENSE_LOSS].isna() | table["diverged"].astype(bool)
    table[STEPS_TO_DENSE_LOSS] = (
        table[STEPS_TO_DENSE_LOSS]
        .mask(never, 2.0 * table[LAST_STEP])
        .where(table["run"].map(target).notna().to_numpy(bool))
    )
    return table


def _targets(rounds: pd.DataFrame) -> pd.Series[float]:
    """{run: the validation loss to reach}; NaN where every dense network of the run diverged."""
    dense = rounds[(rounds["arm"] == Layout.TICKET) & (rounds["round"] == 0)]
    return WITHIN * dense.groupby("run")["early_stop_validation_loss"].mean()
