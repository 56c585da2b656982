"""Is there a winning ticket? Answered for each run in one line, with the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from .comparison import TICKET
from .criteria import ACCURACY, BETTER_THAN, NO_SLOWER, NO_WORSE, STEP, criteria
from .metrics import values_of
from .words import listed

Answer = Literal["yes", "no", "cannot tell"]


@dataclass(frozen=True)
class Estimate:
    """A mean over n pairs, and its interval."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Winning:
    """Whether a run has a winning ticket, and the numbers behind the answer; `sentence` says it in one line.

    answer: `yes` (at some density every criterion is shown to hold), `no` (at each density one is shown not
    to) or `cannot tell`. rounds: those at which all hold. tried: how many there are after round 0.
    density: the smallest at which all hold, None if there is none. There, against dense: accuracy, the
    difference (ticket minus dense, a fraction); steps, the ratio of early-stop steps (ticket / dense). The
    smallest density of several is picked by its numbers, which flatters them somewhat.
    controls: the arms that the ticket must better. held: {criterion: at how many rounds it holds}.
    but_for: {control: the smallest density} where the answer would be `yes` without that one control.
    trainings, n_diverged: how many there are, and how many have no value and are left out.
    answer_diverged, density_diverged: the same two if these count as the worst there is.
    confidence: that of every interval. replicates: of the ticket.
    """

    run: str
    answer: Answer
    rounds: tuple[int, ...]
    tried: int
    density: float | None
    accuracy: Estimate | None
    steps: Estimate | None
    controls: tuple[str, ...]
    held: dict[str, int]
    but_for: dict[str, float]
    replicates: int
    trainings: int
    n_diverged: int
    answer_diverged: Answer
    density_diverged: float | None
    confidence: float
    sentence: str = ""


def winning(
    rounds: pd.DataFrame, margin: float | None = None, step_margin: float | None = None, confidence: float = 0.95
) -> list[Winning]:
    """For each run, in the order of the rows: is there a winning ticket?

    rounds: as `tickets.load(...).rounds`. What counts, and the margins, are those of `criteria`. A run without
    controls is never `yes`: that its initial values matter takes a control. Nor is one with a single replicate.
    """
    left_out, counted = (criteria(rounds, margin, step_margin, confidence, ways) for ways in (False, True))
    by_run = [dict(iter(table.groupby("run", sort=False))) for table in (left_out, counted)]
    found = []
    for run, of_run in rounds.groupby("run", sort=False):
        # A run without rounds after the dense one has no criteria.
        table, worst = (tables.get(run, left_out.iloc[:0]) for tables in by_run)
        one = _winning(of_run, table, worst, confidence)
        found.append(replace(one, sentence=_sentence(one)))
    return found


def _winning(rounds: pd.DataFrame, table: pd.DataFrame, counted: pd.DataFrame, confidence: float) -> Winning:
    arms = rounds["arm"]
    controls = tuple(str(arm) for arm in arms.unique() if arm != TICKET)
    answer, won = _answer(table)
    answer_diverged, won_diverged = _answer(counted)
    without = {control: _answer(table[table["criterion"] != BETTER_THAN + control])[1] for control in controls}
    lost = values_of(rounds, ACCURACY).isna() | (values_of(rounds, STEP).isna() & (arms == TICKET))
    return Winning(
        run=str(rounds["run"].iloc[0]),
        answer=answer,
        rounds=tuple(int(number) for number in won.index),
        tried=table["round"].nunique(),
        density=_smallest(won),
        accuracy=_estimate(table, won, NO_WORSE),
        steps=_estimate(table, won, NO_SLOWER),
        controls=controls,
        held={str(name): int((rows == "yes").sum()) for name, rows in table.groupby("criterion", sort=False)["holds"]},
        but_for={arm: float(left.min()) for arm, left in without.items() if len(left)} if won.empty else {},
        replicates=rounds.loc[arms == TICKET, "replicate"].nunique(),
        trainings=len(rounds),
        n_diverged=int(lost.sum()),
        answer_diverged=answer_diverged,
        density_diverged=_smallest(won_diverged),
        confidence=confidence,
    )


def _answer(table: pd.DataFrame) -> tuple[Answer, pd.Series[float]]:
    """The answer of one run's criteria, and {round: density} where all hold."""
    rounds = table["round"]
    densities = table.groupby("round")["density"].first()
    won = densities[(table["holds"] == "yes").groupby(rounds).all()]
    if not table["criterion"].str.startswith(BETTER_THAN).any():
        won = won.iloc[:0]
    failed = (table["holds"] == "no").groupby(rounds).any()
    return "yes" if len(won) else "no" if len(failed) and failed.all() else "cannot tell", won


def _smallest(won: pd.Series[float]) -> float | None:
    return float(won.min()) if len(won) else None


def _estimate(table: pd.DataFrame, won: pd.Series[float], criterion: str) -> Estimate | None:
    if won.empty:
        return None
    row = table[(table["round"] == won.idxmin()) & (table["criterion"] == criterion)].iloc[0]
    return Estimate(float(row["estimate"]), float(row["low"]), float(row["high"]), int(row["n"]))


def _sentence(one: Winning) -> str:
    return f"{one.run}: {_found(one)}{_but_for(one)}{_diverged(one)}"


def _found(one: Winning) -> str:
    if one.accuracy is not None and one.steps is not None:
        points = [100 * value for value in (one.accuracy.value, one.accuracy.low, one.accuracy.high)]
        return (
            f"a winning ticket at {len(one.rounds)} of {one.tried} densities, down to {one.density:.4f}: there it is "
            f"{points[0]:+.2f} points [{points[1]:+.2f}, {points[2]:+.2f}] from dense in test accuracy, stops early "
            f"after {one.steps.value:.2f} [{one.steps.low:.2f}, {one.steps.high:.2f}] times its steps, and is better "
            f"than {listed(one.controls)} ({_basis(one)})."
        )
    if one.answer == "no":
        return (
            f"no winning ticket: at each of {one.tried} densities something is shown not to hold; "
            f"densities where each is shown: {_counts(one)} ({_basis(one)})."
        )
    unknown = "cannot tell whether there is a winning ticket: "
    if not one.tried:
        return unknown + "no round after the dense one is saved."
    if one.replicates < 2:
        return unknown + "one replicate gives no interval; raise `replicates` and give the same command again."
    if not one.controls:
        why = "it has no controls (add some to `arms`); "
    else:
        why = f"at none of {one.tried} densities is everything shown to hold; "
    return f"{unknown}{why}densities where each is shown: {_counts(one)} ({_basis(one)})."


def _but_for(one: Winning) -> str:
    told = [f"without {arm} it would be a yes, down to density {low:.4f}" for arm, low in one.but_for.items()]
    return f" But {', '.join(told)}." if told else ""


def _diverged(one: Winning) -> str:
    if not one.n_diverged:
        return ""
    same = (one.answer, one.density) == (one.answer_diverged, one.density_diverged)
    down = "" if one.density_diverged is None else f", down to density {one.density_diverged:.4f}"
    return (
        f" {one.n_diverged} of {one.trainings} trainings have no value (diverged) and are left out; counted as the "
        f"worst there is, the answer is {'the same' if same else one.answer_diverged + down}."
    )


def _counts(one: Winning) -> str:
    return ", ".join(f"{criterion} {count}" for criterion, count in one.held.items())


def _basis(one: Winning) -> str:
    return f"{one.replicates} replicates, {100 * one.confidence:g} % intervals"
