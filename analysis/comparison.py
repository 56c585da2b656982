"""The ticket against each control, and against the dense network, paired by replicate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tickets.errors import InputError

from .intervals import detectable, paired_band, paired_interval, sign_flip_p, smallest_p
from .metrics import SHARE, Metric, find_metric, margins, values_of
from .rule import Rules, is_control
from .simultaneous import max_t
from .summary import mean_density
from .verdicts import verdict

TICKET = "ticket"
DENSE = "dense"

_KEYS = ["run", "round", "arm"]
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
    """The ticket against each control: a row per run, round and control that was trained in it.

    A pair is a replicate's ticket and its control, each the mean over its draws. A training without a value
    (diverged; see `values_of`) is in no mean, and a replicate in which nothing is left of one side is no pair;
    with `count_diverged` they count as the worst there is instead. Measurements (`repeat`, `reorder`) are no controls.

    Parameters
    ----------
    rounds : DataFrame
        As `tickets.load(...).rounds`.
    metric : str
        A name in `METRICS`.
    margin : float, optional
        The largest difference that does not matter, in the metric's unit (of a ratio: relative). Default: 5 % of what
        the run's dense networks have (`margins`), or the share that its [verdict] names.
    confidence : float
        Of the intervals, in (0, 1).
    count_diverged : bool
        Whether trainings without a value count as the worst there is.
    rules : mapping, optional
        {run: Rule}, as `rules_of(saved)` gives: which arms are controls, and the margin.

    Returns
    -------
    DataFrame
        | column | is |
        | --- | --- |
        | density | of the ticket, the mean over the pairs' replicates |
        | n | pairs |
        | difference, low, high | mean of ticket minus control, and its own t-interval, in the metric's unit |
        | p, smallest_p | exact sign-flip p; NaN for n < 6, where it could not fall below `smallest_p` = 2 / 2**n |
        | band_low, band_high | the simultaneous interval over all comparisons of the run (`max_t`) |
        | p_adjusted | the larger of p and the p of that interval; NaN where p is |
        | verdict | `better`, `worse`, `equivalent` or `cannot tell`, of the ticket, by the simultaneous interval; |
        |         | `better` and `worse` only where p_adjusted, if there is one, is at most 1 - confidence too |
        | margin | the largest difference that does not matter |
        | smallest | the smallest true difference that low to high would have left 0 out for, in 80 of 100 repeats |
        | ratio, ratio_low, ratio_high | of metrics in steps: ticket / control; of other metrics NaN |
        | n_diverged | trainings without a value among those of the row, both sides and all draws |
        | verdict_diverged | the verdict with these counted as the worst there is |

    Raises
    ------
    InputError
        If metric, margin or confidence is not valid, or no run has a ticket and a control.

    Notes
    -----
    A single worst value among good ones widens an interval, whichever side it is on: counting diverged
    trainings can turn `better` into `cannot tell` though it was the control that diverged.

    The ratio is the geometric mean over pairs, exp(mean of ln ticket - ln control), its interval the t-interval
    of the logarithms. For a metric in steps, p, verdict, smallest (a factor >= 1, either way), band_low and band_high
    are of the ratio, and [1 / (1 + margin), 1 + margin] is what does not matter. A training that is still at its best
    at the last step has that step as its early-stop step, so where many do, that ratio is drawn towards 1.
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
    asked = _asked(rounds, metric, margin, confidence, rules)
    return _compared(_with_controls(_each(rounds, metric), rules), asked, count_diverged)


def against_dense(
    rounds: pd.DataFrame,
    metric: str = "early_stop_test_accuracy",
    margin: float | None = None,
    confidence: float = 0.95,
    count_diverged: bool = False,
    rules: Rules | None = None,
) -> pd.DataFrame:
    """The ticket of each round after 0 against its own dense network, the ticket of round 0.

    As `compare`, but the arm is `dense`, and no run needs a control; without rows if there is nothing to compare.
    """
    asked = _asked(rounds, metric, margin, confidence, rules)
    return _compared(_with_dense(_each(rounds, metric)), asked, count_diverged)


def paired_effects(
    rounds: pd.DataFrame, metric: str, against: str, count_diverged: bool = False, rules: Rules | None = None
) -> pd.DataFrame:
    """What each pair differs by: a row per (run, round, arm), a column per replicate, NaN where there is no pair.

    Ticket minus arm; for a metric that is a ratio, ln ticket - ln arm.

    Parameters
    ----------
    rounds : DataFrame
        As `tickets.load(...).rounds`.
    metric : str
        A name in `METRICS`.
    against : str
        "dense" (rounds after 0) or "controls".
    count_diverged : bool
        Whether trainings without a value count as the worst there is.
    rules : mapping, optional
        {run: Rule}.
    """
    each = _each(rounds, metric)
    pairs = _with_dense(each) if against == DENSE else _with_controls(each, rules)
    return _effects(pairs, "counted" if count_diverged else "left_out", find_metric(metric))


def measurements(rounds: pd.DataFrame, metric: str, rules: Rules | None = None) -> pd.DataFrame:
    """How far the ticket is from itself trained again: a row per run and measurement (`repeat`, `reorder`).

    Columns: run, arm, n (pairs, over all rounds), difference (mean of ticket minus arm), spread (the root of the mean
    squared difference), in the metric's unit.
    """
    each = _each(rounds, metric)
    others = each[(each["arm"] != TICKET) & ~_are_controls(each, rules)]
    pairs = _pairs(each[each["arm"] == TICKET], others)
    grouped = (pairs["left_out_ticket"] - pairs["left_out"]).groupby([pairs["run"], pairs["arm"]], sort=False)
    found = {"n": grouped.count(), "difference": grouped.mean()}
    found["spread"] = grouped.agg(lambda values: math.sqrt(float((values**2).mean())))
    return pd.DataFrame(found).reset_index()


@dataclass(frozen=True)
class _Asked:
    name: str
    metric: Metric
    margins: pd.Series[float]
    confidence: float


def _asked(rounds: pd.DataFrame, name: str, margin: float | None, confidence: float, rules: Rules | None) -> _Asked:
    if not 0 < confidence < 1:
        raise InputError(f"confidence = {confidence}: must lie between 0 and 1, such as 0.95")
    return _Asked(name, find_metric(name), run_margins(rounds, name, margin, rules), confidence)


def run_margins(rounds: pd.DataFrame, name: str, margin: float | None, rules: Rules | None) -> pd.Series[float]:
    """{run: the margin}, as `margins` gives it by the share that the run's own rule has."""
    shares = {run: rule.margin for run, rule in (rules or {}).items()}
    by_share = {share: margins(rounds, name, margin, share) for share in {SHARE, *shares.values()}}
    return pd.Series({run: by_share[shares.get(run, SHARE)][run] for run in rounds["run"].unique()}, dtype=float)


def _check_controls(rounds: pd.DataFrame, rules: Rules | None) -> None:
    there = {str(run): set(arms) for run, arms in rounds.groupby("run")["arm"]}
    if not any(TICKET in arms and any(is_control(run, arm, rules) for arm in arms) for run, arms in there.items()):
        which = f"run {', '.join(there)}: no ticket with" if there else "no rounds are saved:"
        raise InputError(
            f"{which} a control to compare it with; add one to `arms` in the campaign file (such as reinit, "
            "random_mask) and give the command again: only what is missing is trained"
        )


def _each(rounds: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A row per run, round, arm and replicate, in the order of the rows: the metric without and with the diverged."""
    values = values_of(rounds, metric)
    counted = values_of(rounds, metric, count_as_worst=True)
    measured = rounds[[*_KEYS, "replicate", "density"]].assign(left_out=values, counted=counted, lost=values.isna())
    draws = measured.groupby([*_KEYS, "replicate"], sort=False)
    columns = {"density": "mean", "left_out": "mean", "counted": "mean", "lost": "sum"}
    return draws.agg(columns).reset_index()


def _are_controls(each: pd.DataFrame, rules: Rules | None) -> pd.Series[bool]:
    found = [is_control(run, arm, rules) for run, arm in zip(each["run"], each["arm"], strict=True)]
    return pd.Series(found, index=each.index, dtype=bool)


def _with_controls(each: pd.DataFrame, rules: Rules | None) -> pd.DataFrame:
    return _pairs(each[each["arm"] == TICKET], each[_are_controls(each, rules)])


def _with_dense(each: pd.DataFrame) -> pd.DataFrame:
    tickets = each[each["arm"] == TICKET]
    later = tickets[tickets["round"] > 0]
    dense = tickets[tickets["round"] == 0].drop(columns="round").assign(arm=DENSE)
    # The dense network of a replicate stands beside each of its later rounds.
    return _pairs(later, dense.merge(later[["run", "replicate", "round"]], on=["run", "replicate"]))


def _pairs(tickets: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """A row per run, round, arm of `others` and replicate that both have."""
    return others.merge(tickets, on=["run", "round", "replicate"], suffixes=("", "_ticket"))


def _effects(pairs: pd.DataFrame, column: str, metric: Metric) -> pd.DataFrame:
    """By run, round and arm (down, in the order in which they come) and replicate (across); NaN for none."""
    ticket, other = pairs[f"{column}_ticket"], pairs[column]
    return _wide(pairs, np.log(ticket) - np.log(other) if metric.ratio else ticket - other)


def _compared(pairs: pd.DataFrame, asked: _Asked, count_diverged: bool) -> pd.DataFrame:
    """The table of `compare`, by run, round and arm; runs and arms in the order in which they come."""
    if pairs.empty:
        return pd.DataFrame(columns=_COLUMNS)
    ways = {counted: _judged(pairs, "counted" if counted else "left_out", asked) for counted in (False, True)}
    grouped = pairs.groupby(_KEYS, sort=False)
    table = ways[count_diverged].assign(
        metric=asked.name,
        density=mean_density(grouped["density_ticket"]),
        n_diverged=grouped[["lost", "lost_ticket"]].sum().sum(axis=1),
        verdict_diverged=ways[True]["verdict"],
    )
    table = table.reset_index()
    arm, run = (pd.factorize(table[key])[0] for key in ("arm", "run"))
    # lexsort ranks by the last key first.
    order = np.lexsort((arm, table["round"].to_numpy(), run))
    return table[_COLUMNS].iloc[order].reset_index(drop=True)


def _judged(pairs: pd.DataFrame, column: str, asked: _Asked) -> pd.DataFrame:
    """What the differences of a column come to, by run, round and arm."""
    differences = _wide(pairs, pairs[f"{column}_ticket"] - pairs[column])
    plain = paired_interval(differences.to_numpy(), asked.confidence)
    effects = _effects(pairs, column, asked.metric)
    ratio = [np.full(len(differences), np.nan)] * 3
    margin = asked.margins[effects.index.get_level_values("run")].to_numpy(float)
    low, high, p_adjusted = _bands(effects, asked.confidence)
    if asked.metric.ratio:
        margin = np.log1p(margin)
        ratio = [np.exp(end) for end in paired_interval(effects.to_numpy(), asked.confidence)]
    more = asked.metric.more_is_better
    smallest = detectable(effects.to_numpy(), asked.confidence)
    n = effects.notna().sum(axis=1).to_numpy()
    p = sign_flip_p(effects.to_numpy())
    p_adjusted = np.maximum(p, p_adjusted)
    said = [verdict(*ends, more) for ends in zip(low.tolist(), high.tolist(), margin.tolist(), strict=True)]
    unsure = (p_adjusted > 1 - asked.confidence) & np.isin(said, ["better", "worse"])
    return pd.DataFrame(
        {
            "n": n,
            **dict(zip(("difference", "low", "high"), plain, strict=True)),
            "p": p,
            "p_adjusted": p_adjusted,
            "verdict": np.where(unsure, "cannot tell", said),
            "band_low": np.exp(low) if asked.metric.ratio else low,
            "band_high": np.exp(high) if asked.metric.ratio else high,
            "margin": np.expm1(margin) if asked.metric.ratio else margin,
            "smallest": np.exp(smallest) if asked.metric.ratio else smallest,
            "smallest_p": smallest_p(n),
            **dict(zip(("ratio", "ratio_low", "ratio_high"), ratio, strict=True)),
        },
        index=differences.index,
    )


def _bands(effects: pd.DataFrame, confidence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(low, high, adjusted p) of every row, simultaneous over the rows of its run."""
    low, high, p = (np.full(len(effects), np.nan) for _ in range(3))
    runs = effects.index.get_level_values("run")
    for run in runs.unique():
        rows = np.flatnonzero(runs == run)
        family = effects.iloc[rows].to_numpy()
        found = max_t(family, confidence)
        low[rows], high[rows] = paired_band(family, found.critical)
        p[rows] = found.p_adjusted
    return low, high, p


def _wide(pairs: pd.DataFrame, values: pd.Series[float]) -> pd.DataFrame:
    keys = [pairs[key] for key in (*_KEYS, "replicate")]
    return values.groupby(keys, sort=False).first().unstack("replicate", sort=False)
