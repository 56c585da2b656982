"""The ticket against each control, and against the dense network, paired by replicate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tickets.errors import InputError

from .intervals import adjusted_p, detectable, paired_interval, sign_flip_p, smallest_p
from .metrics import Metric, find_margin, find_metric, values_of
from .summary import mean_density
from .verdicts import verdict

TICKET = "ticket"
DENSE = "dense"

_KEYS = ["run", "round", "arm"]
_COLUMNS = [
    "run", "round", "density", "arm", "metric", "n", "difference", "low", "high", "p", "p_adjusted", "verdict",
    "smallest", "smallest_p", "ratio", "ratio_low", "ratio_high", "n_diverged", "verdict_diverged",
]  # fmt: skip


def compare(
    rounds: pd.DataFrame,
    metric: str = "early_stop_test_accuracy",
    margin: float | None = None,
    confidence: float = 0.95,
    count_diverged: bool = False,
) -> pd.DataFrame:
    """The ticket against each control: a row per run, round and control that was trained in it.

    rounds: as `tickets.load(...).rounds`. metric: a name in `METRICS`. margin: the largest difference that does
    not matter, in the metric's unit (of a ratio: relative); default: the metric's own. confidence: in (0, 1).

    A pair is a replicate's ticket and its control, each the mean over its draws. A training without a value
    (diverged; see `values_of`) is in no mean, and a replicate in which nothing is left of one side is no pair;
    with `count_diverged` they count as the worst there is instead.

    | column | is |
    | --- | --- |
    | density | of the ticket, the mean over the pairs' replicates |
    | n | pairs |
    | difference, low, high | mean of ticket minus control, and its t-interval, in the metric's unit |
    | p, smallest_p | exact sign-flip p; NaN for n < 6, where it could not fall below `smallest_p` = 2 / 2**n |
    | p_adjusted | Benjamini-Hochberg, over all rounds of the same run and control |
    | verdict | `better`, `worse`, `equivalent` or `cannot tell`, of the ticket |
    | smallest | the smallest true difference that the interval would have left 0 out for, in 80 of 100 repeats |
    | ratio, ratio_low, ratio_high | of `early_stop_step`: ticket / control; of other metrics NaN |
    | n_diverged | trainings without a value among those of the row, both sides and all draws |
    | verdict_diverged | the verdict with these counted as the worst there is |

    A single worst value among good ones widens an interval, whichever side it is on: counting diverged
    trainings can turn `better` into `cannot tell` though it was the control that diverged.

    The ratio is the geometric mean over pairs, exp(mean of ln ticket - ln control), its interval the t-interval
    of the logarithms. For `early_stop_step`, p, verdict and smallest (a factor >= 1, either way) are of the
    ratio, and [1 / (1 + margin), 1 + margin] is what does not matter. A training that is still at its best at
    the last step stops there, so where many do, the ratio is drawn towards 1.

    Raises InputError if metric, margin or confidence is not valid, or no run has a ticket and a control.
    """
    _asked(metric, margin, confidence)
    _check_controls(rounds)
    return against_controls(rounds, metric, margin, confidence, count_diverged)


def against_controls(
    rounds: pd.DataFrame, metric: str, margin: float | None, confidence: float, count_diverged: bool
) -> pd.DataFrame:
    """As `compare`, but without rows if no run has a control."""
    asked = _asked(metric, margin, confidence)
    each = _each(rounds, metric)
    is_ticket = each["arm"] == TICKET
    return _compared(_pairs(each[is_ticket], each[~is_ticket]), asked, count_diverged)


def against_dense(
    rounds: pd.DataFrame,
    metric: str = "early_stop_test_accuracy",
    margin: float | None = None,
    confidence: float = 0.95,
    count_diverged: bool = False,
) -> pd.DataFrame:
    """The ticket of each round after 0 against its own dense network, the ticket of round 0.

    As `compare`, but the arm is `dense`, and no run needs a control; without rows if there is nothing to compare.
    """
    asked = _asked(metric, margin, confidence)
    each = _each(rounds, metric)
    tickets = each[each["arm"] == TICKET]
    later = tickets[tickets["round"] > 0]
    dense = tickets[tickets["round"] == 0].drop(columns="round").assign(arm=DENSE)
    # The dense network of a replicate stands beside each of its later rounds.
    beside = dense.merge(later[["run", "replicate", "round"]], on=["run", "replicate"])
    return _compared(_pairs(later, beside), asked, count_diverged)


@dataclass(frozen=True)
class _Asked:
    name: str
    metric: Metric
    margin: float
    confidence: float


def _asked(name: str, margin: float | None, confidence: float) -> _Asked:
    metric = find_metric(name)
    if not 0 < confidence < 1:
        raise InputError(f"confidence = {confidence}: must lie between 0 and 1, such as 0.95")
    return _Asked(name, metric, find_margin(margin, metric), confidence)


def _check_controls(rounds: pd.DataFrame) -> None:
    controlled = rounds.groupby("run")["arm"].agg(lambda arms: {TICKET} < set(arms))
    if not controlled.any():
        which = f"run {', '.join(controlled.index)}: no ticket with" if len(controlled) else "no rounds are saved:"
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


def _pairs(tickets: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """A row per run, round, arm of `others` and replicate that both have."""
    return others.merge(tickets, on=["run", "round", "replicate"], suffixes=("", "_ticket"))


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
    table["p_adjusted"] = table.groupby(["run", "arm"])["p"].transform(adjusted_p)
    table = table.reset_index()
    arm, run = (pd.factorize(table[key])[0] for key in ("arm", "run"))
    # lexsort ranks by the last key first.
    order = np.lexsort((arm, table["round"].to_numpy(), run))
    return table[_COLUMNS].iloc[order].reset_index(drop=True)


def _judged(pairs: pd.DataFrame, column: str, asked: _Asked) -> pd.DataFrame:
    """What the differences of a column come to, by run, round and arm."""
    ticket, other = pairs[f"{column}_ticket"], pairs[column]
    differences = _wide(pairs, ticket - other)
    plain = paired_interval(differences.to_numpy(), asked.confidence)
    low, high = plain[1:]
    effects, margin = differences, asked.margin
    nothing = np.full(len(differences), np.nan)
    ratio = (nothing, nothing, nothing)
    if asked.metric.ratio:
        effects, margin = _wide(pairs, np.log(ticket) - np.log(other)), math.log1p(margin)
        logs = paired_interval(effects.to_numpy(), asked.confidence)
        low, high = logs[1:]
        ratio = (np.exp(logs[0]), np.exp(low), np.exp(high))
    more = asked.metric.more_is_better
    smallest = detectable(effects.to_numpy(), asked.confidence)
    n = effects.notna().sum(axis=1).to_numpy()
    return pd.DataFrame(
        {
            "n": n,
            **dict(zip(("difference", "low", "high"), plain, strict=True)),
            "p": sign_flip_p(effects.to_numpy()),
            "verdict": [verdict(*ends, margin, more) for ends in zip(low, high, strict=True)],
            "smallest": np.exp(smallest) if asked.metric.ratio else smallest,
            "smallest_p": smallest_p(n),
            **dict(zip(("ratio", "ratio_low", "ratio_high"), ratio, strict=True)),
        },
        index=differences.index,
    )


def _wide(pairs: pd.DataFrame, values: pd.Series[float]) -> pd.DataFrame:
    """Values by run, round and arm (down, in the order in which they come) and replicate (across); NaN for none."""
    keys = [pairs[key] for key in (*_KEYS, "replicate")]
    return values.groupby(keys, sort=False).first().unstack("replicate", sort=False)
