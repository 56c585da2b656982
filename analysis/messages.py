"""The answer to "is there a winning ticket?" in sentences: the verdict, its reason, the criteria, further results."""

from __future__ import annotations

import math

from tickets.plurals import counted

from .answers import Criterion, Estimate, Winning
from .criteria import ACCURACY, BETTER_THAN, NO_SLOWER, NO_WORSE
from .labels import Label, capitalised, signed
from .rule import Rule

VERDICTS = {
    "yes": "a winning ticket",
    "no": "no winning ticket",
    "cannot tell": "cannot tell whether there is a winning ticket",
}


def headline(one: Winning) -> str:
    """The verdict and where it was decided, as in "A winning ticket at density 0.2097 (...)."."""
    where = "" if one.density is None else f" at density {one.density:.4f}"
    return f"{capitalised(VERDICTS[one.answer])}{where}{_basis(one)}."


def reason(one: Winning) -> str:
    """Why the answer is not `yes`, as a sentence; "" if it is."""
    return f"{capitalised(one.why)}." if one.answer != "yes" and one.why else ""


def criterion_lines(one: Winning) -> list[str]:
    """A line for each criterion: the estimate and its interval, what is required, and whether it holds."""
    return [_criterion(criterion, one.rule) for criterion in one.criteria]


def context_lines(one: Winning) -> list[str]:
    """Results that do not affect the verdict: final accuracy, early-stop step, other arms, diverged trainings."""
    return [*_context(one), *_other_densities(one), *_diverged(one)]


def sentence_of(one: Winning) -> str:
    """The run, the headline and `paragraphs`, in one line."""
    return " ".join([f"{one.run}: {headline(one)}", *paragraphs(one)])


def paragraphs(one: Winning) -> list[str]:
    """The lines below the headline: `reason`, `criterion_lines` and `context_lines`."""
    return [line for line in (reason(one), *criterion_lines(one), *context_lines(one)) if line]


def when_named(rule: Rule) -> str:
    """Whether the rule's density was named before training, or after how many rounds."""
    if rule.seen == 0:
        return "named before training"
    rounds = "all rounds" if rule.seen is None else counted(rule.seen, "round")
    return f"named after {rounds} had been trained"


def _basis(one: Winning) -> str:
    intervals = f"{100 * one.confidence:g} % intervals"
    n = counted(one.replicates, "replicate")
    if one.rule.density is None:
        return f" ({n}; no density was named before training, so {intervals} are simultaneous over all densities)"
    return f" (the round nearest to {one.rule.density:g}, {when_named(one.rule)}; {n}, {intervals})"


def _criterion(one: Criterion, rule: Rule) -> str:
    name = capitalised(one.name)
    if one.estimate.n == 0:
        return f"{name}: nothing to compare with."
    holds = {"yes": "holds", "no": "does not hold", "cannot tell": "cannot tell"}[one.holds]
    n = f"n = {one.estimate.n}"
    if math.isnan(one.estimate.low) and one.estimate.n > 1:
        n += ", no interval since all pairs differ by the same amount"
    accuracy, heading = rule.labels.accuracy, rule.labels.heading(ACCURACY)
    if one.name == NO_SLOWER:
        never = f"; {counted(one.never, 'ticket')} never reached it, counted as twice the steps" if one.never else ""
        return (
            f"{name}: steps to the dense networks' validation loss, ticket / dense, {_ratio(one.estimate)} "
            f"(required: the interval below {1 + one.margin:.2f}; {n}{never}): {holds}."
        )
    if one.name == NO_WORSE:
        other, limit = "dense", accuracy.difference_text(-one.margin)
    else:
        other, limit = one.name.removeprefix(BETTER_THAN), "0"
        apart = rule.other_steps.get(other, 0)
        n += f"; {other} trained {abs(apart):,} steps {'fewer' if apart < 0 else 'more'}" if apart else ""
        n += " by round 1" if apart and rule.rewind != "weights" else ""
    return (
        f"{name}: {heading}, ticket minus {other}, {_difference(one.estimate, accuracy)} "
        f"(required: the interval above {limit}; {n}): {holds}."
    )


def _context(one: Winning) -> list[str]:
    if one.context is None:
        return []
    accuracy = one.rule.labels.accuracy
    parts, lines = [], []
    if one.context.final is not None:
        final = _difference(one.context.final, accuracy)
        parts.append(f"test {accuracy.name} at the last step, ticket minus dense, {final}")
    if one.context.early_stop is not None:
        parts.append(f"early-stop step (Frankle and Carbin), ticket / dense, {_ratio(one.context.early_stop)}")
    if parts:
        lines.append(f"Not part of the verdict: {'; '.join(parts)}.")
    if one.context.others:
        others = ", ".join(f"{arm} {_difference(other, accuracy)}" for arm, other in one.context.others.items())
        lines.append(f"Other arms, which do not affect the verdict: ticket minus {others}.")
    return lines


def _other_densities(one: Winning) -> list[str]:
    if one.rule.density is not None and one.tried > 1 and one.criteria:
        return [
            f"By intervals that are simultaneous over all {one.tried} densities, every criterion holds at "
            f"{len(one.rounds)} of them."
        ]
    if one.rule.density is None and not one.rounds and one.holding:
        counts = ", ".join(f"{criterion} {count}" for criterion, count in one.holding.items())
        return [f"Number of densities, of {one.tried}, at which each criterion holds: {counts}."]
    return []


def _diverged(one: Winning) -> list[str]:
    if not one.n_diverged:
        return []
    same = "the same" if one.answer == one.answer_diverged else one.answer_diverged
    return [
        f"{one.n_diverged} of {counted(one.trainings, 'training')} diverged and {_is_are(one.n_diverged)} left out; "
        f"counted as the worst possible value, the answer is {same}."
    ]


def _is_are(count: int) -> str:
    return "is" if count == 1 else "are"


def _difference(estimate: Estimate, label: Label) -> str:
    text = label.difference_text(estimate.value, estimate.low, estimate.high)
    return f"{text} {label.difference}".strip()


def _ratio(estimate: Estimate) -> str:
    return signed(estimate.value, estimate.low, estimate.high, ".2f")
