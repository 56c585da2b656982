"""Is there a winning ticket? The answer for each run, with the numbers behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from tickets.store.derived import is_dense

from .answers import Answer, Context, Criterion, Estimate, Winning
from .comparison import against_controls, against_dense
from .criteria import ACCURACY, NO_SLOWER, STEPS, criteria, too_short
from .messages import sentence_of
from .metrics import METRICS, has_accuracy, values_of
from .nearest_round import comes_nearer, nearest_round
from .pairs import TICKET
from .rule import Rule, Rules, rule_for
from .text import listed

FINAL = "final_test_accuracy"
EARLY_STOP = "early_stop_step"


def winning(rounds: pd.DataFrame, rules: Rules | None = None, confidence: float = 0.95) -> list[Winning]:
    """Decide for each run whether there is a winning ticket.

    Parameters
    ----------
    rounds : DataFrame
        As `tickets.load(...).rounds`.
    rules : mapping, optional
        {run: Rule}, as `rules_of(saved)` returns. A run without a rule is judged by the defaults: no density was
        named, `reinit` is the control, and the margin is 5 % of the dense networks' test error.
    confidence : float
        Of the intervals, in (0, 1). At 0.95 the chance of a false `yes` is at most 2.5 %.

    Returns
    -------
    list of Winning
        One per run, in the order of the rows. The answer is by `criteria`. It is `cannot tell` for a run that lacks one
        of its controls, has a single replicate, or whose dense networks were trained too briefly (`too_short`).
    """
    left_out, worst = (criteria(rounds, rules, confidence, count) for count in (False, True))
    found = []
    for run, of_run in rounds.groupby("run", sort=False):
        rule, name = rule_for(str(run), rules), str(run)
        table, counted_in = (of[of["run"] == run] for of in (left_out, worst))
        one = _winning(name, of_run, table, rule, confidence)
        one = replace(one, answer_diverged=_winning(name, of_run, counted_in, rule, confidence).answer)
        found.append(replace(one, sentence=sentence_of(one)))
    return found


def _winning(run: str, rounds: pd.DataFrame, table: pd.DataFrame, rule: Rule, confidence: float) -> Winning:
    densities = table.groupby("round")["density"].first()
    everywhere = [number for number in densities.index if (table.loc[table["round"] == number, "holds"] == "yes").all()]
    if rule.density is None:
        answer, why = _at_any(table, everywhere)
        number = max(everywhere) if everywhere else None
        holds = "holds"
    else:
        number = nearest_round(densities, rule.density)
        holds = "holds_alone"
        answer, why = _at_one(table[table["round"] == number], rule)
    lacking = _lacking(rounds, table, densities, rule, number)
    if lacking:
        answer, why = "cannot tell", lacking
    arms, decided = rounds["arm"], rounds["round"] == number if number is not None else rounds["round"] >= 0
    judged = has_accuracy(rounds)
    lost = values_of(rounds, ACCURACY).isna() if judged else rounds["diverged"].astype(bool)
    return Winning(
        run=run,
        answer=answer,
        why=why,
        rule=rule,
        round=number,
        density=None if number is None else float(densities[number]),
        criteria=tuple(_criteria(table[table["round"] == number], holds)) if number is not None and judged else (),
        context=None if number is None else _context(rounds, number, rule, confidence),
        rounds=tuple(everywhere),
        tried=len(densities),
        holding={
            str(name): int((rows == "yes").sum())
            for name, rows in table.groupby("criterion", sort=False)["holds"]
            if judged and (rule.rewind == "weights" or name != NO_SLOWER)  # speed is not judged: see _lacking
        },
        replicates=rounds.loc[decided & (arms == TICKET), "replicate"].nunique(),
        trainings=len(rounds),
        n_diverged=int(lost.sum()),
        answer_diverged=answer,
        confidence=confidence,
    )


def _at_one(table: pd.DataFrame, rule: Rule) -> tuple[Answer, str]:
    holds = dict(zip(table["criterion"], table["holds_alone"], strict=True))
    failed = [name for name, answer in holds.items() if answer == "no"]
    if failed:
        return "no", f"shown not to hold: {listed(failed)}"
    unsure = [name for name, answer in holds.items() if answer != "yes"]
    if unsure:
        return "cannot tell", f"not shown to hold: {listed(unsure)}"
    return ("yes", f"shown to hold: {listed(list(holds))}") if holds else ("cannot tell", "")


def _at_any(table: pd.DataFrame, won: list[int]) -> tuple[Answer, str]:
    tried = table["round"].nunique()
    if won:
        return "yes", f"every criterion is shown to hold at {len(won)} of {_densities(tried)}"
    failed = (table["holds"] == "no").groupby(table["round"]).any()
    if len(failed) and failed.all():
        return "no", "at every density at least one criterion is shown not to hold"
    return "cannot tell", f"every criterion is shown to hold at none of {_densities(tried)}"


def _densities(count: int) -> str:
    return f"{count} {'density' if count == 1 else 'densities'}"


def _lacking(
    rounds: pd.DataFrame, table: pd.DataFrame, densities: pd.Series[float], rule: Rule, number: int | None
) -> str:
    """Why a run allows no answer, and the remedy; "" if it allows one."""
    if densities.empty:
        return "no round after the dense one is saved"
    if rule.rewind != "weights":
        return (
            f'the tickets keep their trained values (rewind.kind = "{rule.rewind}"), so none is trained in isolation '
            "from an early state, and its steps cannot be compared with the dense network's; compare accuracies "
            '(tickets compare), or train the campaign with rewind.kind = "weights"'
        )
    if rounds.loc[rounds["arm"] == TICKET, "replicate"].nunique() < 2:
        return "one replicate gives no interval; raise `replicates` and give the same command again"
    if not has_accuracy(rounds):
        return (
            f"the task (train.loss = {rule.loss!r}) has neither accuracy nor R2, by which tickets are judged; compare "
            "losses: tickets compare --metric final_test_loss"
        )
    dense = rounds.loc[is_dense(rounds), ACCURACY].mean()
    if rule.labels.accuracy.name == "R2" and dense <= 0:
        return f"the dense networks predict no better than the mean target does (R2 {dense:.2f}); train them better"
    absent = [arm for arm in rule.controls if not (rounds["arm"] == arm).any()]
    if absent:
        return (
            f"the run has no arm {listed(absent)}, which the ticket must be better than; add it to `arms`, or name "
            "another control in verdict.controls"
        )
    alike = [arm for arm in rule.controls if arm in rule.measurements]
    if alike:
        return f"{listed(alike)}: starts from the ticket's values, so is no control; name another in verdict.controls"
    named, unfinished = rule.density, max(densities.index) < (rule.rounds or 0)
    if named is not None and unfinished and comes_nearer(densities, named, rule.densities):
        return f"the round nearest to density {named:g} is not trained yet"
    if STEPS not in rounds:
        return f"the rounds lack the column {STEPS}; load them with tickets.load"
    if rounds[STEPS].isna().all() and rounds["early_stop_validation_loss"].mean() < 0:
        return "the validation loss falls below 0, so there is no multiple of the lowest one to measure speed by"
    short = too_short(rounds)
    return f"train longer: {short}" if short else ""


def _criteria(table: pd.DataFrame, holds: str) -> list[Criterion]:
    ends = ("low", "high") if holds == "holds_alone" else ("band_low", "band_high")
    return [
        Criterion(
            name=row["criterion"],
            holds=row[holds],
            estimate=Estimate(row["estimate"], row[ends[0]], row[ends[1]], row["n"]),
            margin=row["margin"],
            never=row["never"],
        )
        for row in table.to_dict("records")
    ]


def _context(rounds: pd.DataFrame, number: int, rule: Rule, confidence: float) -> Context:
    here = rounds[(rounds["round"] == number) | is_dense(rounds)]

    def dense(metric: str) -> Estimate | None:
        table = against_dense(here, metric, confidence=confidence)
        names = ("ratio", "ratio_low", "ratio_high") if METRICS[metric].ratio else ("difference", "low", "high")
        return next((_estimate(row, names) for row in table.to_dict("records") if row["n"]), None)

    rules = {str(rounds["run"].iloc[0]): rule}
    controls = against_controls(here[here["round"] == number], ACCURACY, confidence=confidence, rules=rules)
    return Context(
        final=dense(FINAL),
        early_stop=dense(EARLY_STOP) if rule.rewind == "weights" else None,
        others={
            str(row["arm"]): _estimate(row, ("difference", "low", "high"))
            for row in controls.to_dict("records")
            if row["n"] and row["arm"] not in rule.controls
        },
    )


def _estimate(row: Mapping[Any, Any], names: tuple[str, str, str]) -> Estimate:
    value, low, high = (float(row[name]) for name in names)
    return Estimate(value, low, high, int(row["n"]))
