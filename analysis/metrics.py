"""The metrics that runs are compared by: columns of `rounds`, their better direction and margin of equivalence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from tickets.errors import InputError, nearest
from tickets.store.derived import is_dense

SHARE = 0.05
"""The default margin of equivalence, as a share of the test error (or loss) of the run's own dense networks."""


@dataclass(frozen=True)
class Metric:
    """A column of `rounds`.

    Parameters
    ----------
    heading : str
        Its name in a sentence.
    more_is_better : bool
        Whether the larger of two values is the better one.
    margin : float
        Margin of equivalence where no dense network gives one; relative for a ratio.
    ratio : bool
        Whether it is compared as ticket / arm, on the log scale, instead of ticket - arm.
    worst : float, optional
        The value of a training that diverged, where diverged trainings count. None: the worst value in its run.
    accuracy : bool
        Whether it is an accuracy or R2: at most 1, and 1 minus it is an error.
    before_training : bool
        Whether it is of the network before training, so that a training that diverged makes it no worse.
    """

    heading: str
    more_is_better: bool
    margin: float
    ratio: bool = False
    worst: float | None = None
    accuracy: bool = False
    before_training: bool = False


_ACCURACY_MARGIN = 0.005  # 0.5 points
_LOSS_MARGIN = 0.01  # nats an example: the right label's probability (geometric mean) changes by 1 %
STEP_MARGIN = 0.05  # 5 % more, or fewer, steps

STEPS = "steps_to_dense_loss"

METRICS: Mapping[str, Metric] = {
    "early_stop_test_accuracy": Metric("test accuracy at early stop", True, _ACCURACY_MARGIN, worst=0.0, accuracy=True),
    "final_test_accuracy": Metric("test accuracy at the last step", True, _ACCURACY_MARGIN, worst=0.0, accuracy=True),
    "untrained_test_accuracy": Metric(
        "test accuracy before training", True, _ACCURACY_MARGIN, accuracy=True, before_training=True
    ),
    STEPS: Metric("steps to 1.1 times the dense networks' lowest validation loss", False, STEP_MARGIN, ratio=True),
    "early_stop_step": Metric("early-stop step", False, STEP_MARGIN, ratio=True),
    "early_stop_validation_loss": Metric("lowest validation loss", False, _LOSS_MARGIN),
    "final_test_loss": Metric("test loss at the last step", False, _LOSS_MARGIN),
    "final_train_loss": Metric("training loss at the last step", False, _LOSS_MARGIN),
}


def find_metric(name: str) -> Metric:
    """The metric with this name.

    Raises
    ------
    InputError
        If there is none; the message names the nearest one.
    """
    if name not in METRICS:
        raise InputError(f"metric = {name!r}: must be one of {', '.join(METRICS)}{nearest(name, METRICS)}")
    return METRICS[name]


def find_margin(margin: float | None, metric: Metric) -> float:
    """The given margin, or the metric's own if it is None.

    Raises
    ------
    InputError
        If it is not a finite number >= 0.
    """
    if margin is None:
        return metric.margin
    if not math.isfinite(margin) or margin < 0:
        raise InputError(f"margin = {margin}: must be a number >= 0, in the metric's unit (0.005 is half a point)")
    return float(margin)


def margins(rounds: pd.DataFrame, name: str, margin: float | None = None, share: float = SHARE) -> pd.Series[float]:
    """{run: margin of equivalence}, in the metric's unit (relative for a ratio).

    By default it is `share` times what the run's own dense networks have, as the mean over replicates: their error,
    1 - accuracy, for an accuracy (1 - R2 is the unexplained share of the variance), and the size of their loss for a
    loss. So a task with 2 % test error has another margin than one
    with 40 %. Ratios have the metric's own margin; so has a run in which every dense network diverged.

    Parameters
    ----------
    rounds : DataFrame
        As `tickets.load(...).rounds`.
    name : str
        A name in `METRICS`.
    margin : float, optional
        The margin of every run, instead of the default.
    share : float
        At least 0.

    Raises
    ------
    InputError
        If the metric is unknown, or the margin is not a finite number >= 0.
    """
    metric = find_metric(name)
    runs = pd.Index(rounds["run"].unique(), name="run")
    own = find_margin(margin, metric)
    if margin is not None or metric.ratio:
        return pd.Series(own, index=runs, dtype=float)
    level = rounds[is_dense(rounds)].groupby("run")[name].mean().reindex(runs)
    return (share * (1 - level if metric.accuracy else level.abs())).fillna(own)


def has_accuracy(rounds: pd.DataFrame) -> bool:
    """Whether a run's task has an accuracy or R2: some training has a value of it, or all trainings diverged."""
    return bool(rounds["early_stop_test_accuracy"].notna().any() or rounds["diverged"].astype(bool).all())


def values_of(rounds: pd.DataFrame, name: str, count_as_worst: bool = False) -> pd.Series[float]:
    """A metric by row of `rounds`; NaN for a training that has no value.

    Without a value are trainings that diverged and, for `early_stop_step`, those whose validation loss was lowest
    before their first step: they learned nothing, which is not the same as being fast. `untrained_test_accuracy` has a
    value for trainings that diverged later, and none for those that start from trained values.

    Parameters
    ----------
    rounds : DataFrame
        As `tickets.load(...).rounds`.
    name : str
        A name in `METRICS`.
    count_as_worst : bool
        Whether trainings without a value get the worst value: accuracy 0, or the lowest R2 of the run if that is below
        0; for losses and steps the worst of the run. Nothing is filled in for `untrained_test_accuracy`. Still NaN if
        no training of the run has a value, unless it is an accuracy and all of them diverged.

    Raises
    ------
    InputError
        If the metric is unknown, or `rounds` lacks its column.
    """
    metric = find_metric(name)
    if name not in rounds:
        raise InputError(f"metric = {name!r}: these rounds lack the column; load them with tickets.load")
    values = rounds[name].astype(float)
    if metric.ratio:
        values = values.where(values > 0)
    # Of the steps a training that diverged has a value; without one, none counts.
    if not count_as_worst or metric.before_training or name == STEPS:
        return values
    worst = values.groupby(rounds["run"]).transform("min" if metric.more_is_better else "max")
    if metric.worst is None:
        return values.fillna(worst)
    lost = rounds["diverged"].astype(bool).groupby(rounds["run"]).transform("all")
    return values.fillna(worst.clip(upper=metric.worst)).mask(lost, metric.worst)
