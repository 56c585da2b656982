"""The answer to "is there a winning ticket?" in words: the verdict, its density and numbers, then what else is seen."""

from __future__ import annotations

import math

from .answers import Criterion, Estimate, Winning
from .criteria import BETTER_THAN, NO_SLOWER, NO_WORSE
from .rule import Rule
from .shown import Shown
from .words import counted

VERDICTS = {
    "yes": "a winning ticket",
    "no": "no winning ticket",
    "cannot tell": "cannot tell whether there is a winning ticket",
}


def headline(one: Winning) -> str:
    """The verdict and where it was decided, as in `A winning ticket at density 0.2097 (...).`."""
    verdict = VERDICTS[one.answer]
    where = "" if one.density is None else f" at density {one.density:.4f}"
    return f"{verdict[:1].upper()}{verdict[1:]}{where}{_basis(one)}."


def reason(one: Winning) -> str:
    """Why the answer is not yes, in a sentence; "" where it is."""
    return f"{one.why[:1].upper()}{one.why[1:]}." if one.answer != "yes" and one.why else ""


def reasons(one: Winning) -> list[str]:
    """One line for each criterion: the estimate with its interval, what is required, and whether it holds."""
    return [_criterion(criterion, one.rule) for criterion in one.criteria]


def beside(one: Winning) -> list[str]:
    """What decides nothing: final accuracy, Frankle and Carbin's early-stop step, the other arms, the diverged."""
    lines = []
    seen, how = one.beside, one.rule.shown
    if seen is not None:
        parts = []
        if seen.final is not None:
            parts.append(f"{how.name} at the last step {_apart(seen.final, how)} from dense")
        if seen.early_stop is not None:
            parts.append(f"early-stop step (Frankle and Carbin) {_ratio(seen.early_stop)} times dense's")
        if parts:
            lines.append(f"Beside it: {'; '.join(parts)}.")
        if seen.others:
            others = ", ".join(f"{arm} {_apart(estimate, how)}" for arm, estimate in seen.others.items())
            lines.append(f"Other arms explain and do not decide; ticket minus {others}.")
    if one.rule.density is not None and one.tried > 1:
        lines.append(
            f"By simultaneous intervals over all {one.tried} densities, all criteria hold together at "
            f"{len(one.rounds)} of them."
        )
    elif not one.rounds and one.held and one.rule.density is None:
        counts = ", ".join(f"{criterion} {count}" for criterion, count in one.held.items())
        lines.append(f"Densities at which each criterion holds, of {one.tried}: {counts}.")
    if one.n_diverged:
        same = "the same" if one.answer == one.answer_diverged else one.answer_diverged
        lines.append(
            f"{one.n_diverged} of {counted(one.trainings, 'training')} diverged and are left out; counted as the worst "
            f"there is, the answer is {same}."
        )
    return lines


def sentence_of(one: Winning) -> str:
    """The run, the headline, why, and every number, in one line."""
    return " ".join([f"{one.run}: {headline(one)}", *paragraphs(one)])


def paragraphs(one: Winning) -> list[str]:
    """What follows the headline: the reason for an answer that is not yes, the criteria, and what is seen beside."""
    return [line for line in (reason(one), *reasons(one), *beside(one)) if line]


def _basis(one: Winning) -> str:
    intervals = f"{100 * one.confidence:g} % intervals"
    n = counted(one.replicates, "replicate")
    if one.rule.density is None:
        return f" ({n}; no density was named beforehand: {intervals} simultaneous over all densities)"
    return f" (the one nearest to {one.rule.density:g}, {named(one.rule)}; {n}, {intervals})"


def named(rule: Rule) -> str:
    """When the density was named: `named beforehand`, or after what had been seen."""
    if rule.seen == 0:
        return "named beforehand"
    return "named after its rounds were seen" if rule.seen is None else f"named after {counted(rule.seen, 'round')}"


def _criterion(one: Criterion, rule: Rule) -> str:
    how = rule.shown
    if one.estimate.n == 0:
        return f"{_named(one)}: nothing to compare with."
    holds = {"yes": "holds", "no": "does not hold", "cannot tell": "cannot tell"}[one.holds]
    n = f"n = {one.estimate.n}"
    if math.isnan(one.estimate.low) and one.estimate.n > 1:
        n += ", all pairs differ by the same, so there is no interval"
    if one.name == NO_WORSE:
        limit = f"required: more than {how.difference(-one.margin)}"
        apart = _apart(one.estimate, how)
        return f"{_named(one)}: test {how.name} at early stop {apart} from dense ({limit}; {n}): {holds}."
    if one.name == NO_SLOWER:
        never = f"; {one.never} never got there and count as twice their steps" if one.never else ""
        limit = f"required: at most {1 + one.margin:.2f}"
        return (
            f"{_named(one)}: it reaches the dense networks' validation loss in {_ratio(one.estimate)} times their "
            f"steps ({limit}; {n}{never}): {holds}."
        )
    arm = one.name.removeprefix(BETTER_THAN)
    more = rule.other_steps.get(arm, 0)
    steps = f"; it has trained {abs(more):,} steps {'fewer' if more < 0 else 'more'}" if more else ""
    apart = _apart(one.estimate, how)
    return f"{_named(one)}: ticket minus {arm} {apart} (required: more than 0; {n}{steps}): {holds}."


def _named(one: Criterion) -> str:
    return one.name[:1].upper() + one.name[1:]


def _apart(estimate: Estimate, how: Shown) -> str:
    low, high = how.scale * estimate.low, how.scale * estimate.high
    return f"{how.difference(estimate.value)}{_interval(low, high, f'+{how.form}')}{how.unit}"


def _ratio(estimate: Estimate) -> str:
    return f"{estimate.value:.2f}{_interval(estimate.low, estimate.high, '.2f')}"


def _interval(low: float, high: float, form: str) -> str:
    return "" if math.isnan(low) else f" [{low:{form}}, {high:{form}}]"
