"""The criteria of a winning ticket, and the densities at which they are shown to hold."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from tickets.store.derived import is_dense

from .intervals import paired_band, paired_interval
from .metrics import STEP_MARGIN
from .pairs import DENSE, TICKET, paired_effects
from .rule import Rules, margins_by_rule, rule_for
from .simultaneous import max_t
from .summary import mean_density

NO_WORSE = "no worse than dense"
NO_SLOWER = "no slower than dense"
BETTER_THAN = "better than "

ACCURACY = "early_stop_test_accuracy"
STEPS = "steps_to_dense_loss"

MOST_CENSORED = 0.2
"""The largest share of dense networks whose training may be too short to measure speed by."""

_KEYS = ["run", "round", "criterion"]
_COLUMNS = [
    "run", "round", "density", "criterion", "n", "estimate", "low", "high", "band_low", "band_high", "margin",
    "holds", "holds_alone", "never",
]  # fmt: skip


def criteria(
    rounds: pd.DataFrame,
    rules: Rules | None = None,
    confidence: float = 0.95,
    count_diverged: bool = False,
) -> pd.DataFrame:
    """Evaluate each criterion of a winning ticket: a row per run, round after 0 and criterion.

    | criterion | estimate and its intervals | `yes` | `no` |
    | --- | --- | --- | --- |
    | no worse than dense | test accuracy at early stop, ticket minus dense | low >= -margin | high < -margin |
    | no slower than dense | steps to the dense networks' loss, ticket / dense | high <= 1.05 | low > 1.05 |
    | better than CONTROL | test accuracy at early stop, ticket minus control | low > 0 | high <= 0 |

    Otherwise `cannot tell`. Dense is the ticket's own round 0. The margin is 5 % of the dense networks' test error, or
    the share that the run's rule names. The controls are those of the rule; one that was not trained in a round has
    n = 0. Steps are `steps_to_dense_loss`: a ticket that never reaches the loss counts as twice its steps, a dense
    network that never does as its last step, so that neither is favoured.

    Parameters
    ----------
    rounds : DataFrame
        As `tickets.load(...).rounds`.
    rules : mapping, optional
        {run: Rule}, as `rules_of(saved)` returns.
    confidence : float
        Of the intervals, in (0, 1).
    count_diverged : bool
        Whether trainings without a value count as the worst; otherwise their pairs are left out.

    Returns
    -------
    DataFrame
        | column | content |
        | --- | --- |
        | run, round, density, criterion | which row |
        | n, estimate | number of pairs; a difference as a fraction, or a ratio |
        | low, high, holds_alone | the t-interval of this row alone and the answer by it, for a named density |
        | band_low, band_high, holds | the interval that is simultaneous over all rows of the run and the answer by |
        |                            | it, for any other density |
        | margin | margin of equivalence |
        | never | tickets that never reach the dense networks' loss |

    Notes
    -----
    That all criteria hold at one density is claimed with the confidence of a single interval, since each must hold
    (an intersection-union test: Berger, Technometrics 24, 1982). By `holds` the chance that all are said to hold at
    any density where one does not is at most (1 - confidence) / 2.
    Source: Frankle and Carbin, "The Lottery Ticket Hypothesis", ICLR 2019, section 1.
    """
    wanted = _wanted(rounds, rules)
    effects = _effects(rounds, rules, count_diverged).reindex(pd.MultiIndex.from_frame(wanted[_KEYS]))
    margin = _margins(wanted, rounds, rules)
    table = wanted.assign(n=effects.notna().sum(axis=1).to_numpy(), margin=margin)
    plain = _alone(effects, confidence)
    bands = _bands(effects, confidence)
    table["holds_alone"] = _holds(table, *plain[1:])
    table["holds"] = _holds(table, *bands)
    is_ratio = table["criterion"] == NO_SLOWER
    for name, values in zip(("estimate", "low", "high", "band_low", "band_high"), (*plain, *bands), strict=True):
        table[name] = np.where(is_ratio, np.exp(values), values)
    return table.assign(never=_never(table, rounds))[_COLUMNS]


def too_short(rounds: pd.DataFrame) -> str:
    """Why the dense networks of one run were trained too briefly to measure a ticket's speed.

    They were if more than a fifth of them never reach the loss at which speed is measured, start at it, or improve
    until their last step.

    Parameters
    ----------
    rounds : DataFrame
        The rows of one run.

    Returns
    -------
    str
        "" if they were trained long enough.
    """
    dense = rounds[is_dense(rounds) & ~rounds["diverged"].astype(bool)]
    if STEPS not in dense or dense.empty:
        return ""
    never = dense[STEPS] > dense["last_step"]
    improving = dense["early_stop_step"] >= dense["last_step"]
    there = dense[STEPS] <= 1
    if (never | improving | there).mean() <= MOST_CENSORED:
        return ""
    reasons = {
        "improved until the last step": improving,
        "never reached 1.1 times the mean lowest validation loss": never,
        "had reached it before the first step, so that there is nothing to time": there,
    }
    parts = [f"{int(which.sum())} {why}" for why, which in reasons.items() if which.any()]
    stuck = int((never & ~improving).sum())
    remark = f"; {stuck} of these stopped improving, where a lower learning rate may help" if stuck else ""
    return f"of {len(dense)} dense networks, {', '.join(parts)}{remark}"


def _effects(rounds: pd.DataFrame, rules: Rules | None, count_diverged: bool) -> pd.DataFrame:
    """The difference of each pair, of steps the logarithm's: (run, round, criterion) down, replicate across."""
    found = {NO_WORSE: paired_effects(rounds, ACCURACY, DENSE, count_diverged)}
    if STEPS in rounds:
        found[NO_SLOWER] = paired_effects(_dense_at_most_last(rounds), STEPS, DENSE, count_diverged)
    parts = [effects.rename(index={DENSE: name}, level="arm") for name, effects in found.items()]
    control = paired_effects(rounds, ACCURACY, "controls", count_diverged, rules)
    names = {arm: BETTER_THAN + arm for arm in control.index.get_level_values("arm")}
    there = [part for part in (*parts, control.rename(index=names, level="arm")) if len(part)]
    if not there:
        return pd.DataFrame(index=pd.MultiIndex.from_tuples([], names=_KEYS))
    return pd.concat(there).rename_axis(index=_KEYS)


def _dense_at_most_last(rounds: pd.DataFrame) -> pd.DataFrame:
    shorter = rounds[[STEPS, "last_step"]].min(axis=1)
    return rounds.assign(**{STEPS: rounds[STEPS].mask(is_dense(rounds), shorter)})


def _margins(wanted: pd.DataFrame, rounds: pd.DataFrame, rules: Rules | None) -> np.ndarray:
    """Margins of equivalence: of accuracy a fraction, of steps relative, of controls 0."""
    own = wanted["run"].map(margins_by_rule(rounds, ACCURACY, None, rules))
    conditions = [wanted["criterion"] == NO_WORSE, wanted["criterion"] == NO_SLOWER]
    return np.select(conditions, [own.to_numpy(float), np.full(len(wanted), STEP_MARGIN)], 0.0)


def _alone(effects: pd.DataFrame, confidence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(mean, low, high) of every row; no interval where a few pairs agree by chance, as in `paired_band`."""
    if effects.empty:
        return np.empty(0), np.empty(0), np.empty(0)
    mean, low, high = paired_interval(effects.to_numpy(), confidence)
    unknown = (low == high) & (mean != 0)
    return mean, np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


def _bands(effects: pd.DataFrame, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) of every row, simultaneous over the rounds and criteria of its run."""
    low, high = np.full(len(effects), np.nan), np.full(len(effects), np.nan)
    runs, names = effects.index.get_level_values("run"), effects.index.get_level_values("criterion")
    for run in runs.unique():
        rows = np.flatnonzero(runs == run)
        family = effects.iloc[rows].to_numpy()
        # Of a ratio, a false `yes` comes from the upper limit, so its sign is flipped.
        better = np.where(names[rows] == NO_SLOWER, -1.0, 1.0)[:, None]
        low[rows], high[rows] = paired_band(family, max_t(family * better, confidence).critical)
    return low, high


def _holds(table: pd.DataFrame, low: np.ndarray, high: np.ndarray) -> list[str]:
    # Both conditions are False for NaN, where there is no interval.
    worse, slower = table["criterion"] == NO_WORSE, table["criterion"] == NO_SLOWER
    margin, longest = table["margin"].to_numpy(float), math.log1p(STEP_MARGIN)
    yes = np.select([worse, slower], [low >= -margin, high <= longest], low > 0)
    no = np.select([worse, slower], [high < -margin, low > longest], high <= 0)
    return [str(answer) for answer in np.select([yes, no], ["yes", "no"], "cannot tell")]


def _never(table: pd.DataFrame, rounds: pd.DataFrame) -> list[int]:
    """For the criterion of speed, how many tickets of the row's round never reach the dense networks' loss; else 0."""
    if STEPS not in rounds:
        return [0] * len(table)
    late = rounds[(rounds["arm"] == TICKET) & (rounds[STEPS] > rounds["last_step"])]
    counts = late.groupby(["run", "round"]).size().to_dict()
    keys = zip(table["run"], table["round"], table["criterion"], strict=True)
    return [int(counts.get((run, number), 0)) if name == NO_SLOWER else 0 for run, number, name in keys]


def _wanted(rounds: pd.DataFrame, rules: Rules | None) -> pd.DataFrame:
    """The rows of `criteria`: run, round, density and criterion, for every round after 0."""
    tickets = rounds[(rounds["arm"] == TICKET) & (rounds["round"] > 0)]
    densities = mean_density(tickets.groupby(["run", "round"], sort=False)["density"])
    places = densities.reset_index().itertuples(index=False, name=None)
    rows = [
        (run, number, density, criterion)
        for run, number, density in places
        for criterion in (NO_WORSE, NO_SLOWER, *(BETTER_THAN + arm for arm in rule_for(run, rules).controls))
    ]
    return pd.DataFrame(rows, columns=["run", "round", "density", "criterion"])
