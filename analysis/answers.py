"""The answer to "is there a winning ticket?" as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from .rule import Rule

Answer = Literal["yes", "no", "cannot tell"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)


@dataclass(frozen=True)
class Estimate:
    """A mean over n pairs and its interval."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Criterion:
    """One criterion of a winning ticket at one density.

    Parameters
    ----------
    name : str
        Such as "no worse than dense".
    holds : {"yes", "no", "cannot tell"}
        Whether it holds.
    estimate : Estimate
        What was measured: a difference as a fraction, or a ratio of steps.
    margin : float
        Margin of equivalence: of accuracy a fraction, of steps relative, of controls 0.
    never : int
        For the criterion of speed, the tickets that never reach the dense networks' loss; else 0.
    """

    name: str
    holds: Answer
    estimate: Estimate
    margin: float
    never: int


@dataclass(frozen=True)
class Context:
    """Further results at the decided density, which do not affect the verdict. Each has an interval of its own.

    Parameters
    ----------
    final : Estimate, optional
        Accuracy at the last step, ticket minus dense.
    early_stop : Estimate, optional
        Early-stop step, ticket / dense: Frankle and Carbin's measure of speed.
    others : dict
        {arm: accuracy at early stop, ticket minus arm}, for the arms that are not controls of the rule.
    """

    final: Estimate | None
    early_stop: Estimate | None
    others: dict[str, Estimate]


@dataclass(frozen=True)
class Winning:
    """Whether a run has a winning ticket, and the numbers behind the answer.

    Parameters
    ----------
    run : str
        The run's id.
    answer : {"yes", "no", "cannot tell"}
        `yes` if every criterion is shown to hold, `no` if one is shown not to hold.
    why : str
        The reason, in a few words.
    rule : Rule
        How it was decided. If it names a density: at the round nearest to it, by the intervals of that round alone.
        Otherwise `yes` needs a round where every criterion holds, and `no` a criterion in each round that does not
        hold, by intervals that are simultaneous over all rounds and criteria.
    round, density : int and float, optional
        Where it was decided. Without a named density: the sparsest round where all criteria hold; None if there is
        none.
    criteria : tuple of Criterion
        The criteria at that round; none where the task has neither accuracy nor R2.
    context : Context, optional
        Further results at that round.
    rounds : tuple of int
        The rounds where all criteria hold by the simultaneous intervals.
    tried : int
        The number of rounds after round 0.
    holding : dict
        {criterion: the number of rounds where it holds by the simultaneous intervals}; speed is left out where
        it is not judged.
    replicates : int
        Replicates of the ticket, in the decided round if there is one.
    trainings, n_diverged : int
        All trainings, and those without a value, which are left out.
    answer_diverged : {"yes", "no", "cannot tell"}
        The answer if trainings without a value count as the worst.
    confidence : float
        Of every interval.
    sentence : str
        The run, the answer and its numbers in one line.
    """

    run: str
    answer: Answer
    why: str
    rule: Rule
    round: int | None
    density: float | None
    criteria: tuple[Criterion, ...]
    context: Context | None
    rounds: tuple[int, ...]
    tried: int
    holding: dict[str, int]
    replicates: int
    trainings: int
    n_diverged: int
    answer_diverged: Answer
    confidence: float
    sentence: str = ""
