"""The answer to "is there a winning ticket?": what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .rule import Rule

Answer = Literal["yes", "no", "cannot tell"]


@dataclass(frozen=True)
class Estimate:
    """A mean over n pairs, and its interval."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Criterion:
    """One criterion at one density: what was measured, and whether it holds.

    margin: the largest loss that does not matter (of accuracy a fraction, of steps relative; of controls 0). never:
    for the criterion of speed, the tickets that never reach the dense networks' loss.
    """

    name: str
    holds: Answer
    estimate: Estimate
    margin: float
    never: int


@dataclass(frozen=True)
class Beside:
    """What is shown at the decided density and decides nothing, each with its own interval.

    final, early_stop: against dense, the accuracy at the last step and the ratio of early-stop steps (Frankle and
    Carbin's own measure of speed). others: {arm: accuracy at early stop, ticket minus arm}, of arms that are not among
    the rule's controls.
    """

    final: Estimate | None
    early_stop: Estimate | None
    others: dict[str, Estimate]


@dataclass(frozen=True)
class Winning:
    """Whether a run has a winning ticket, and the numbers behind the answer.

    answer: `yes` (every criterion is shown to hold), `no` (one is shown not to) or `cannot tell`. why: the reason, in
    a few words.
    rule: how it was decided. Where that names a density, at the round nearest to it, by the intervals of that round
    alone; else `yes` needs a round where every criterion holds, and `no` one criterion that fails in each round, by
    intervals that are simultaneous over all rounds and criteria.
    round, density: where it was decided; without a named density the sparsest round where all hold, None if there is
    none. criteria, beside: the numbers there.
    rounds: those at which all hold by the simultaneous intervals. tried: how many there are after round 0. held:
    {criterion: at how many rounds it holds by them}.
    trainings, n_diverged: how many there are, and how many have no value and are left out; answer_diverged: the
    answer if these count as the worst there is.
    confidence: that of every interval. replicates: of the ticket, in the decided round if there is one. sentence: the
    run, the answer and its numbers in one line.
    """

    run: str
    answer: Answer
    why: str
    rule: Rule
    round: int | None
    density: float | None
    criteria: tuple[Criterion, ...]
    beside: Beside | None
    rounds: tuple[int, ...]
    tried: int
    held: dict[str, int]
    replicates: int
    trainings: int
    n_diverged: int
    answer_diverged: Answer
    confidence: float
    sentence: str = ""
