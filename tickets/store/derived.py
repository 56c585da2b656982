"""Columns of `rounds` that are computed from `curves` when a run is loaded, and are not on disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tickets.roles import keeps_trained, steps_before
from tickets.store.layout import Layout

if TYPE_CHECKING:
    import pandas as pd

WITHIN = 1.1
"""The validation loss to reach, as a multiple of the mean lowest validation loss of the run's dense networks."""

LAST_STEP = "last_step"
STEPS_TO_DENSE_LOSS = "steps_to_dense_loss"
UNTRAINED_TEST_ACCURACY = "untrained_test_accuracy"

_TRAINING = ["run", "replicate", "round", "arm", "draw"]


def is_dense(table: pd.DataFrame) -> pd.Series[bool]:
    """Whether each row of `rounds`, `curves` or `units` is of a dense network: the ticket of round 0."""
    return (table["arm"] == Layout.TICKET) & (table["round"] == 0)


def with_all_derived(
    rounds: pd.DataFrame, curves: pd.DataFrame, files: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """The rows of `rounds` with all columns that are computed, without those of runs that have no curves.

    Parameters
    ----------
    rounds, curves : DataFrame
        As for `with_derived`.
    files : mapping
        {run: the content of its run.json}.

    Returns
    -------
    DataFrame
        A new table; the arguments are unchanged.
    """
    rounds = rounds[rounds["run"].isin(curves["run"])].reset_index(drop=True)
    untimed = [run for run, file in files.items() if keeps_trained(file.get("config", {}))]
    return with_untrained(
        with_derived(rounds, curves, untimed), curves, lambda run, arm: steps_before(files[run], arm) > 0
    )


def with_derived(rounds: pd.DataFrame, curves: pd.DataFrame, untimed: Collection[str] = ()) -> pd.DataFrame:
    """The rows of `rounds` with two further columns, `last_step` and `steps_to_dense_loss`.

    `last_step` is the last evaluated step of the training.

    `steps_to_dense_loss` is the step at which the validation loss first falls to `WITHIN` times the mean lowest
    validation loss of the run's dense networks, interpolated linearly between evaluations; at least 1. Unlike the
    early-stop step, it differs between two trainings that both improve until they end.

    - If the training diverged or its loss never falls that low: twice its `last_step`.
    - If the loss is that low already at the rewind step at which the training starts: the value of the replicate's
      dense network, but at most the rewind step.
    - NaN after round 0 of the runs in `untimed`: their tickets keep the values of earlier trainings, so that a step has
      another meaning than in the dense training.
    - NaN if the run has no dense network that did not diverge, or if the mean lowest loss is below 0, so that a
      multiple of it is no target.

    With `train.evaluate_on`, the losses between the first and the last step are those of that number of examples.

    Parameters
    ----------
    rounds : DataFrame
        A row per run, replicate, round, arm and draw.
    curves : DataFrame
        The same trainings, a row per evaluated step; steps increase within each training.
    untimed : collection of str
        The runs whose tickets keep their trained values (`tickets.roles.keeps_trained`).

    Returns
    -------
    DataFrame
        A new table; the arguments are unchanged.
    """
    target = _targets(rounds, curves)
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
    at_start = np.isnan(step_before) & (step > 0)
    reached = reached[_TRAINING].assign(**{STEPS_TO_DENSE_LOSS: _no_later_than_dense(reached, crossed, at_start)})
    found = found.merge(reached, on=_TRAINING, how="left")
    table = rounds.merge(found, on=_TRAINING, how="left")
    never = table[STEPS_TO_DENSE_LOSS].isna() | table["diverged"].astype(bool)
    table[STEPS_TO_DENSE_LOSS] = (
        table[STEPS_TO_DENSE_LOSS]
        .mask(never, 2.0 * table[LAST_STEP])
        .where(table["run"].map(target).notna().to_numpy(bool))
    )
    table.loc[table["run"].isin(list(untimed)) & (table["round"] > 0), STEPS_TO_DENSE_LOSS] = np.nan
    return table


def with_untrained(
    rounds: pd.DataFrame, curves: pd.DataFrame, trained_before: Callable[[str, str], bool]
) -> pd.DataFrame:
    """The rows of `rounds` with a further column, `untrained_test_accuracy`: the test accuracy before any training.

    It is the test accuracy at the first evaluated step of the training, which is before its first step: of the mask and
    the initial values alone. NaN where these values had been trained, as the ticket's after a rewind step above 0. Of a
    mask that is learned it is that of the first mask, which is random. A training that diverged has it too, if its
    first loss was finite.

    Parameters
    ----------
    rounds, curves : DataFrame
        As for `with_derived`.
    trained_before : callable
        ``trained_before(run, arm)`` says whether the arm's initial values were trained before, after round 0. In round
        0 none were.

    Returns
    -------
    DataFrame
        A new table; the arguments are unchanged.
    """
    import pandas as pd

    first = curves.drop_duplicates(_TRAINING)[[*_TRAINING, "test_accuracy"]]
    table = rounds.merge(first.rename(columns={"test_accuracy": UNTRAINED_TEST_ACCURACY}), on=_TRAINING, how="left")
    pairs = table[["run", "arm"]].drop_duplicates().itertuples(index=False, name=None)
    before = pd.Series({pair: trained_before(*pair) for pair in pairs}, dtype=bool)
    trained = before.reindex(pd.MultiIndex.from_frame(table[["run", "arm"]])).to_numpy(bool) & (table["round"] > 0)
    table[UNTRAINED_TEST_ACCURACY] = table[UNTRAINED_TEST_ACCURACY].mask(trained)
    return table


def _no_later_than_dense(reached: pd.DataFrame, crossed: np.ndarray, at_start: np.ndarray) -> np.ndarray:
    """The steps `crossed`; where `at_start`, at most the step of the replicate's dense network."""
    import pandas as pd

    steps = reached.assign(crossed=crossed)
    dense = steps[is_dense(steps)].set_index(["run", "replicate"])["crossed"]
    own = pd.MultiIndex.from_frame(reached[["run", "replicate"]])
    earlier = np.fmin(crossed, dense.reindex(own).to_numpy(float))
    return np.where(at_start, earlier, crossed)


def _targets(rounds: pd.DataFrame, curves: pd.DataFrame) -> pd.Series[float]:
    """{run: the validation loss to reach}, without runs whose dense networks all diverged or whose loss is below 0."""
    trained = rounds.loc[is_dense(rounds) & ~rounds["diverged"].astype(bool), ["run", "replicate"]].drop_duplicates()
    dense = curves[is_dense(curves)].merge(trained, on=["run", "replicate"])
    lowest = dense.groupby(["run", "replicate"])["validation_loss"].min()
    mean = lowest.groupby("run").mean()
    return WITHIN * mean[mean >= 0]
