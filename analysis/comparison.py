"""The ticket compared with each control, and with the dense network, paired by replicate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tickets.errors import InputError

from .intervals import detectable, paired_band, paired_interval, sign_flip_p, smallest_p
from .metrics import Metric, find_metric
from .pairs import (
    COUNTED,
    KEYS,
    LEFT_OUT,
    TICKET,
    by_replicate,
    effects,
    wide,
    with_controls,
    with_dense,
    with_measurements,
)
from .rule import Rules, is_control, margins_by_rule
from .simultaneous import max_t
from .summary import mean_density
from .verdicts import verdict

_COLUMNS = [
    "run", "round", "density", "arm", "metric", "n", "difference", "low", "high", "p", "p_adjusted", "verdict",
    "band_low", "band_high", "margin", "smallest", "smallest_p", "ratio", "ratio_low", "ratio_high", "n_diverged",
    "verdict_diverged",
]  # fmt: skip


def compare(
    rounds: pd.DataFrame,
    metric: str = "early_stop_test_accuracy",
    margin: float | None = None,
    confidence: float = 0.95,
    count_diverged: bool = False,
    rules: Rules | None = None,
) -> pd.DataFrame:
    """Compare the ticket with each control: a row per run, round and control that was trained in it.

    A pair is a replicate's ticket and its control, each the mean over its draws. A training without a value
    (diverged; see `values_of`) is in no mean, and a replicate with no value left on one side is not a pair; with
    `count_diverged`, such trainings count as the worst instead. Measurements (`repeat`, `reorder`) are not controls.

    Parameters
    ----------
    rounds : DataFrame
        As `tickets.load(...).rounds`.
    metric : str
        A name in `METRICS`.
    margin : float, optional
        Margin of equivalence, in the metric's unit (relative for a ratio). Default: 5 % of the error or loss of the
        run's dense networks (`margins`), or the share that the run's rule names.
    confidence : float
        Of the intervals, in (0, 1).
    count_diverged : bool
        Whether trainings without a value count as the worst.
    rules : mapping, optional
        {run: Rule}, as `rules_of(saved)` returns: which arms are controls, and the margin.

    Returns
    -------
    DataFrame
        | column | content |
        | --- | --- |
        | density | of the ticket, the mean over the pairs' replicates |
        | n | number of pairs |
        | difference, low, high | mean of ticket minus control and its t-interval, in the metric's unit |
        | p, smallest_p | exact sign-flip p value; NaN for n < 6, where it cannot be below `smallest_p` = 2 / 2**n |
        | band_low, band_high | the simultaneous interval over all rows of the run (`max_t`) |
        | p_adjusted | the larger of p and the p value of that interval; NaN where p is |
        | verdict | `better`, `worse`, `equivalent` or `cannot tell`, of the ticket, by the simultaneous interval; |
        |         | `better` and `worse` only if p_adjusted, where there is one, is at most 1 - confidence |
        | margin | margin of equivalence |
        | smallest | smallest detectable difference: the t-interval excludes 0 in 80 of 100 repeats |
        | ratio, ratio_low, ratio_high | ticket / control, for metrics in steps; else NaN |
        | n_diverged | trainings without a value in this row, of both sides and all draws |
        | verdict_diverged | the verdict if these count as the worst |

    Raises
    ------
    InputError
        If metric, margin or confidence is not valid, or no run has a ticket and a control.

    Notes
    -----
    A single worst value among good ones widens an interval, whichever side it is on: counting diverged trainings can
    turn `better` into `cannot tell` although it was the control that diverged.

    The ratio is the geometric mean over pairs, exp(mean of ln ticket - ln control), and its interval is the t-interval
    of the logarithms. For a metric in steps, p, verdict, smallest (a factor >= 1, in either direction), band_low and
    band_high are those of the ratio, and [1 / (1 + margin), 1 + margin] is the range of equivalence. The early-stop
    step of a training that improves until its end is its last step, so many such trainings draw the ratio towards 1.
    """
    _check_controls(rounds, rules)
    return against_controls(rounds, metric, margin, confidence, count_diverged, rules)


def against_controls(
    rounds: pd.DataFrame,
    metric: str,
    margin: float | None = None,
    confidence: float = 0.95,
    count_diverged: bool = False,
    rules: Rules | None = None,
) -> pd.DataFrame:
    """As `compare`, but without rows if no run has a control."""
    judging = _judging(rounds, metric, margin, confidence, rules)
    return _compared(with_controls(by_replicate(rounds, metric), rules), judging, count_diverged)


def against_dense(
    rounds: pd.DataFrame,
    metric: str = "early_stop_test_accuracy",
    margin: float | None = None,
    confidence: float = 0.95,
    count_diverged: bool = False,
    rules: Rules | None = None,
) -> pd.DataFrame:
    """Compare the ticket of each round after 0 with its own dense network, the ticket of round 0.

    As `compare`, but the arm is `dense`, and runs need no control. Without rows if there is nothing to compare.
    """
    judging = _judging(rounds, metric, margin, confidence, rules)
    return _compared(with_dense(by_replicate(rounds, metric)), judging, count_diverged)


def measurements(rounds: pd.DataFrame, metric: str, rules: Rules | None = None) -> pd.DataFrame:
    """How much the ticket differs from itself trained again: a row per run and measurement (`repeat`, `reorder`).

    Parameters
    ----------
    rounds : DataFrame
        As `tickets.load(...).rounds`.
    metric : str
        A name in `METRICS`.
    rules : mapping, optional
        {run: Rule}, which says which arms are measurements.

    Returns
    -------
    DataFrame
        Columns run, arm, n (pairs, over all rounds), difference (mean of ticket minus arm) and spread (root mean
        square of the differences), in the metric's unit.
    """
    pairs = with_measurements(by_replicate(rounds, metric), rules)
    grouped = (pairs[f"{LEFT_OUT}_ticket"] - pairs[LEFT_OUT]).groupby([pairs["run"], pairs["arm"]], sort=False)
    found = {"n": grouped.count(), "difference": grouped.mean()}
    found["spread"] = grouped.agg(lambda values: math.sqrt(float((values**2).mean())))
    return pd.DataFrame(found).reset_index()


@dataclass(frozen=True)
class _Judging:
    """How pairs are judged: by which metric, margin (by run) and confidence."""

    name: str
    metric: Metric
    margins: pd.Series[float]
    confidence: float


def _judging(rounds: pd.DataFrame, name: str, margin: float | None, confidence: float, rules: Rules | None) -> _Judging:
    if not 0 < confidence < 1:
        raise InputError(f"confidence = {confidence}: must lie between 0 and 1, such as 0.95")
    return _Judging(name, find_metric(name), margins_by_rule(rounds, name, margin, rules), confidence)


def _check_controls(rounds: pd.DataFrame, rules: Rules | None) -> None:
    there = {str(run): set(arms) for run, arms in rounds.groupby("run")["arm"]}
    if not any(TICKET in arms and any(is_control(run, arm, rules) for arm in arms) for run, arms in there.items()):
        which = f"run {', '.join(there)}: no ticket with" if there else "no rounds are saved:"
        raise InputError(
            f"{which} a control to compare it with; add one to `arms` in the campaign file (such as reinit, "
            "random_mask) and give the command again: only what is missing is trained"
        )


def _compared(pairs: pd.DataFrame, judging: _Judging, count_diverged: bool) -> pd.DataFrame:
    """The table of `compare`, sorted by run, round and arm; runs and arms in the order of the rows."""
    if pairs.empty:
        return pd.DataFrame(columns=_COLUMNS)
    ways = {counted: _judged(pairs, COUNTED if counted else LEFT_OUT, judging) for counted in (False, True)}
    grouped = pairs.groupby(KEYS, sort=False)
    table = ways[count_diverged].assign(
        metric=judging.name,
        density=mean_density(grouped["density_ticket"]),
        n_diverged=grouped[["lost", "lost_ticket"]].sum().sum(axis=1),
        verdict_diverged=ways[True]["verdict"],
    )
    table = table.reset_index()
    arm, run = (pd.factorize(table[key])[0] for key in ("arm", "run"))
    # The last key of lexsort is the primary one.
    order = np.lexsort((arm, table["round"].to_numpy(), run))
    return table[_COLUMNS].iloc[order].reset_index(drop=True)


def _judged(pairs: pd.DataFrame, column: str, judging: _Judging) -> pd.DataFrame:
    """Intervals, p values and verdicts of one column of values, by run, round and arm."""
    metric, confidence = judging.metric, judging.confidence
    differences = wide(pairs, pairs[f"{column}_ticket"] - pairs[column])
    plain = paired_interval(differences.to_numpy(), confidence)
    found = effects(pairs, column, metric)
    ratio = [np.full(len(differences), np.nan)] * 3
    margin = judging.margins[found.index.get_level_values("run")].to_numpy(float)
    low, high, p_adjusted = _bands(found, confidence)
    if metric.ratio:
        margin = np.log1p(margin)
        ratio = [np.exp(end) for end in paired_interval(found.to_numpy(), confidence)]
    smallest = detectable(found.to_numpy(), confidence)
    n = found.notna().sum(axis=1).to_numpy()
    p = sign_flip_p(found.to_numpy())
    p_adjusted = np.maximum(p, p_adjusted)
    ends = zip(low.tolist(), high.tolist(), margin.tolist(), strict=True)
    verdicts = [verdict(*limits, metric.more_is_better) for limits in ends]
    unsure = (p_adjusted > 1 - confidence) & np.isin(verdicts, ["better", "worse"])
    return pd.DataFrame(
        {
            "n": n,
            **dict(zip(("difference", "low", "high"), plain, strict=True)),
            "p": p,
            "p_adjusted": p_adjusted,
            "verdict": np.where(unsure, "cannot tell", verdicts),
            "band_low": np.exp(low) if metric.ratio else low,
            "band_high": np.exp(high) if metric.ratio else high,
            "margin": np.expm1(margin) if metric.ratio else margin,
            "smallest": np.exp(smallest) if metric.ratio else smallest,
            "smallest_p": smallest_p(n),
            **dict(zip(("ratio", "ratio_low", "ratio_high"), ratio, strict=True)),
        },
        index=differences.index,
    )


def _bands(found: pd.DataFrame, confidence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(low, high, adjusted p value) of every row, simultaneous over the rows of its run."""
    low, high, p = (np.full(len(found), np.nan) for _ in range(3))
    runs = found.index.get_level_values("run")
    for run in runs.unique():
        rows = np.flatnonzero(runs == run)
        family = found.iloc[rows].to_numpy()
        joint = max_t(family, confidence)
        low[rows], high[rows] = paired_band(family, joint.critical)
        p[rows] = joint.p_adjusted
    return low, high, p
