"""What can be compared: the measured columns of `rounds`, which way is better, and which differences matter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from tickets.errors import InputError, nearest

SHARE = 0.05
"""The default margin: this share of what the dense networks of the same run have."""


@dataclass(frozen=True)
class Metric:
    """A column of `rounds`.

    more_is_better: of two trainings with different values, whether the one with more is the better.
    margin: the largest difference that does not matter where there is no dense network to measure it by; of a
    ratio, the largest relative one.
    ratio: compared as ticket / arm, on the log scale, and not as ticket - arm.
    worst: what a training without a value counts as where it is counted; None: the worst value in its run.
    accuracy: whether it is one, in [0, 1], or R2: then what it lacks of 1 is the error.
    """

    heading: str
    more_is_better: bool
    margin: float
    ratio: bool = False
    worst: float | None = None
    accuracy: bool = False


_ACCURACY_MARGIN = 0.005  # 0.5 points
_LOSS_MARGIN = 0.01  # nats an example: the right label's probability (geometric mean) moves by 1 %
STEP_MARGIN = 0.05  # 5 % more, or fewer, steps

METRICS: Mapping[str, Metric] = {
    "early_stop_test_accuracy": Metric("test accuracy at early stop", True, _ACCURACY_MARGIN, worst=0.0, accuracy=True),
    "final_test_accuracy": Metric("test accuracy at the last step", True, _ACCURACY_MARGIN, worst=0.0, accuracy=True),
    "steps_to_dense_loss": Metric(
        "steps to 1.1 times the dense networks' lowest validation loss", False, STEP_MARGIN, ratio=True
    ),
    "early_stop_step": Metric("early-stop step", False, STEP_MARGIN, ratio=True),
    "early_stop_validation_loss": Metric("lowest validation loss", False, _LOSS_MARGIN),
    "final_test_loss": Metric("test loss at the last step", False, _LOSS_MARGIN),
    "final_train_loss": Metric("training loss at the last step", False, _LOSS_MARGIN),
}


_OF_R2 = {
    name.replace("accuracy", "R2"): replace(metric, heading=metric.heading.replace("accuracy", "R2"))
    for name, metric in METRICS.items()
    if metric.accuracy
}


def find_metric(name: str) -> Metric:
    """The metric of this name. Raises InputError, with the nearest name, if there is none.

    The metrics of accuracy have a second name, `..._R2`, for tables whose columns are named so (`as_measured`).
    """
    if name in _OF_R2:
        return _OF_R2[name]
    if name not in METRICS:
        raise InputError(f"metric = {name!r}: must be one of {', '.join(METRICS)}{nearest(name, METRICS)}")
    return METRICS[name]


def find_margin(margin: float | None, metric: Metric) -> float:
    """The margin to judge by, the metric's own if none is given. Raises InputError if it is no number >= 0."""
    if margin is None:
        return metric.margin
    if not math.isfinite(margin) or margin < 0:
        raise InputError(f"margin = {margin}: must be a number >= 0, in the metric's unit (0.005 is half a point)")
    return float(margin)


def margins(rounds: pd.DataFrame, name: str, margin: float | None = None, share: float = SHARE) -> pd.Series[float]:
    """{run: the largest difference that does not matter}, in the metric's unit (of a ratio: relative).

    By default it is `share` of what the run's own dense networks have: of their error, 1 - accuracy, for an
    accuracy (for R2, 1 - R2 is the share of the variance that is not explained), and of the size of their loss for a
    loss, as the mean over replicates. So a task on which 2 % of the examples go wrong has another margin than one on
    which 40 % do. Ratios have the metric's own margin; so has a run without a
    dense network that did not diverge.

    Parameters
    ----------
    rounds : DataFrame
        As `tickets.load(...).rounds`.
    name : str
        A name in `METRICS`.
    margin : float, optional
        The margin of every run, instead.
    share : float
        At least 0.

    Raises
    ------
    InputError
        If the metric is unknown, or the margin is no number >= 0.
    """
    metric = find_metric(name)
    runs = pd.Index(rounds["run"].unique(), name="run")
    own = find_margin(margin, metric)
    if margin is not None or metric.ratio:
        return pd.Series(own, index=runs, dtype=float)
    dense = rounds[(rounds["arm"] == "ticket") & (rounds["round"] == 0)]
    level = dense.groupby("run")[name].mean().reindex(runs)
    return (share * (1 - level if metric.accuracy else level.abs())).fillna(own)


def has_accuracy(rounds: pd.DataFrame) -> bool:
    """Whether a run's task has an accuracy or R2: some training has a value of it, or all diverged."""
    return bool(rounds["early_stop_test_accuracy"].notna().any() or rounds["diverged"].astype(bool).all())


def values_of(rounds: pd.DataFrame, name: str, count_as_worst: bool = False) -> pd.Series[float]:
    """A metric by row of `rounds`; NaN for a training that has no value.

    Without a value are trainings that diverged, and for `early_stop_step` those whose validation loss never
    fell below where it started (step 0): they learned nothing, which is not the same as being fast.
    count_as_worst: these get the worst value instead: accuracy 0; where there is no worst possible value
    (losses, steps), the worst that any training of the same run had, and of R2 that or 0, whichever is less. Still NaN
    if no training of the run has a value; of an accuracy, unless all of them diverged.
    """
    metric = find_metric(name)
    if name not in rounds:
        raise InputError(f"metric = {name!r}: these rounds lack the column; load them with tickets.load")
    values = rounds[name].astype(float)
    if metric.ratio:
        values = values.where(values > 0)
    if not count_as_worst:
        return values
    if metric.worst is not None:
        lost = rounds["diverged"].astype(bool).groupby(rounds["run"]).transform("all")
        least = values.groupby(rounds["run"]).transform("min").clip(upper=metric.worst)
        return values.fillna(least).mask(lost, metric.worst)
    return values.fillna(values.groupby(rounds["run"]).transform("min" if metric.more_is_better else "max"))
