"""The answers to the claims of a campaign file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tickets.config.claims import ClaimConfig
from tickets.plurals import counted

from .answers import Answer, Estimate
from .claim_functions import answered_by_function
from .claimed import Compared, Measured, compared, is_ratio
from .concerned import UndecidedError, check_place, concerns, other_settings
from .expectations import all_of, any_of, judged
from .intervals import paired_interval
from .labels import Label, Labels
from .metrics import METRICS
from .rule import Rule, margins_by_rule
from .trends import trend_interval

if TYPE_CHECKING:
    from tickets.store import Saved

FACTORS: Mapping[str, float] = {"percent": 0.01, "points": 0.01}
"""What a published number is multiplied by, by its unit, to be in that of the metric; by default 1."""

_PLAIN = Label("value", difference_form="+.4g")


@dataclass(frozen=True)
class Declared:
    """The answer to a claim in one run.

    Parameters
    ----------
    answer : {"yes", "no", "cannot tell"}
        Whether it holds.
    why : tuple of str
        The numbers behind it, a sentence each.
    estimate : Estimate, optional
        Of the comparison that decides, with the interval that decides: a difference, a ratio or a rank correlation.
    density : float, optional
        Where.
    published : float, optional
        The paper's number, in the unit of the estimate.
    agrees : {"agrees", "differs", "cannot tell"}, optional
        Whether the result agrees with it; None without one.
    margin : float
        By which it was judged, in the metric's unit; relative for a ratio.
    """

    answer: Answer
    why: tuple[str, ...]
    estimate: Estimate | None = None
    density: float | None = None
    published: float | None = None
    agrees: str | None = None
    margin: float = 0.0


def claims_of(saved: Saved, run: str) -> list[ClaimConfig]:
    """The claims of a campaign file that concern a run."""
    given = saved.config(run).get("claim", ())
    claims = [ClaimConfig.model_validate(one) for one in given]
    return [claim for claim in claims if concerns(saved, run, claim)]


def declared(saved: Saved, run: str, rule: Rule, confidence: float = 0.95) -> list[tuple[ClaimConfig, Declared]]:
    """Answer the claims of a campaign file that concern a run.

    The intervals by which the claims of a run are answered are simultaneous: each has the confidence
    1 - (1 - confidence) / k for the k claims of the run (Bonferroni), so that the chance of any false `yes` or `no`
    among them is at most 1 - confidence. A claim about all of several densities counts once, since each must be shown
    (an intersection-union test); one about any of them counts as often as there are densities.

    Parameters
    ----------
    saved : Saved
        As `tickets.load` returns.
    run : str
        The run's id.
    rule : Rule
        The run's rule, for the margins and the names of quantities.
    confidence : float
        Of all intervals of the run together, in (0, 1).
    """
    claims = claims_of(saved, run)
    found: list[tuple[ClaimConfig, list[Compared] | str]] = []
    measured = Measured(saved)
    for claim in claims:
        if claim.function is not None:
            continue
        try:
            found.append((claim, compared(saved, run, claim, rule, measured)))
        except UndecidedError as error:
            found.append((claim, str(error)))
    family = sum(1 if isinstance(rows, str) or claim.holds == "all" else len(rows) for claim, rows in found)
    each = _Judging(saved, run, rule, confidence, max(1, family))
    answers = {
        claim.id: Declared("cannot tell", (_sentence(rows),)) if isinstance(rows, str) else each.answered(claim, rows)
        for claim, rows in found
    }
    by_function = {claim.id: _of_function(saved, run, claim) for claim in claims if claim.function is not None}
    return [(claim, {**answers, **by_function}[claim.id]) for claim in claims]


@dataclass(frozen=True)
class _Judging:
    """How the claims of a run are judged. family: the number of simultaneous intervals; margins: by metric."""

    saved: Saved
    run: str
    rule: Rule
    confidence: float
    family: int
    margins: dict[str, float] = field(default_factory=dict)

    def answered(self, claim: ClaimConfig, rows: Sequence[Compared]) -> Declared:
        """The answer to one claim, from its comparisons."""
        margin = self._margin(claim)
        one_by_one = [self._judged(claim, row, margin) for row in rows]
        answers = [answer for answer, _, _ in one_by_one]
        answer = any_of(answers) if claim.holds == "any" else all_of(answers)
        # Of several densities, the one that decides: the first whose own answer is that of all.
        place = answers.index(answer) if answer in answers else 0
        _, estimate, alone = one_by_one[place]
        published, agrees, said = self._published(claim, alone, margin)
        lines = [self._line(claim, row, *rest, margin) for row, rest in zip(rows, one_by_one, strict=True)]
        return Declared(
            answer,
            (*lines, *([self._basis()] if estimate.n > 1 else []), *said),
            estimate,
            rows[place].density,
            published,
            agrees,
            margin,
        )

    def _judged(self, claim: ClaimConfig, row: Compared, margin: float) -> tuple[Answer, Estimate, Estimate]:
        """The answer by one comparison; its estimate with the interval that decides, and with that of it alone."""
        share = (1 - self.confidence) / self.family
        deciding, alone = (_estimate(claim, row, level) for level in (1 - share, self.confidence))
        low, high, limit = deciding.low, deciding.high, margin
        if is_ratio(claim):
            low, high, limit = (math.log(low), math.log(high), math.log1p(margin)) if low > 0 else (low, high, margin)
        return judged(str(claim.expect), low, high, limit), deciding, alone

    def _margin(self, claim: ClaimConfig) -> float:
        """In the metric's unit, relative for a ratio."""
        if claim.margin is not None:
            return claim.margin
        if claim.expect in ("more", "less") or claim.trend is not None or claim.metric not in METRICS:
            return 0.0
        if claim.metric not in self.margins:
            own = self.saved.rounds_of(self.run)
            found = margins_by_rule(own, claim.metric, None, {self.run: self.rule})[self.run]
            self.margins[claim.metric] = float(found)
        return self.margins[claim.metric]

    def _line(
        self, claim: ClaimConfig, row: Compared, answer: Answer, deciding: Estimate, alone: Estimate, margin: float
    ) -> str:
        """A sentence with the numbers of one comparison."""
        label = label_of(metric_of(claim), self.rule.labels)
        what = f"{_name_of(claim, self.rule)}, {claim.arm}"
        if claim.against is not None:
            what += f"{' / ' if is_ratio(claim) else ' minus '}{_side_text(claim)}"
        if claim.trend is not None:
            what = f"rank correlation with {claim.trend} of {what}, over {counted(row.points, 'point')}"
        where = f" at density {row.density:.4f}" if row.density is not None else ""
        limit = f" (margin {margin_text(claim, margin, label)})" if margin else ""
        if alone.n == 0:
            return f"{what}{where}: no pair has a value."
        numbers = _numbers(claim, deciding, label)
        none = "" if not math.isnan(deciding.low) else ", no interval"
        if none and deciding.n > 1:
            none += " since all pairs differ by the same amount"
        return f"{what}{where}: {numbers}, n = {deciding.n}{none}; expected {claim.expect}{limit}: {answer}."

    def _basis(self) -> str:
        level = 100 * (1 - (1 - self.confidence) / self.family)
        if self.family == 1:
            return f"{level:g} % interval; the run has one claim."
        return (
            f"The interval is simultaneous with those of all claims of the run ({self.family}): {level:.4g} % each, "
            f"{100 * self.confidence:g} % together (Bonferroni)."
        )

    def _published(
        self, claim: ClaimConfig, alone: Estimate, margin: float
    ) -> tuple[float | None, str | None, tuple[str, ...]]:
        """(the published number in the estimate's unit, whether ours agrees, the sentence about it)."""
        if claim.published is None:
            return None, None, ()
        label = label_of(metric_of(claim), self.rule.labels)
        factor = FACTORS.get(claim.unit or ("points" if label.factor == 100 else "none"), 1.0)
        number = claim.published * factor
        spread = margin if claim.published_spread is None else claim.published_spread * factor
        low, high = alone.low - spread, alone.high + spread
        if is_ratio(claim) and claim.published_spread is None:
            low, high = alone.low / (1 + margin), alone.high * (1 + margin)
        agrees = "cannot tell" if math.isnan(alone.low) else "agrees" if low <= number <= high else "differs"
        by = "the margin" if claim.published_spread is None else "its own spread"
        unit = claim.unit or label.difference
        source = f" ({claim.source})" if claim.source else ""
        why = (
            ""
            if agrees == "cannot tell"
            else (
                f": {'inside' if agrees == 'agrees' else 'outside'} the {100 * self.confidence:g} % interval of this "
                f"comparison alone, {_numbers(claim, alone, label)}, widened by {by}"
            )
        )
        return number, agrees, (f"Published{source}: {claim.published:g} {unit}".rstrip() + f"; {agrees}{why}.",)


def metric_of(claim: ClaimConfig) -> str:
    """What the estimate of a claim is of: a metric, or a rank correlation."""
    return claim.metric if claim.trend is None else f"rank correlation of {claim.metric} with {claim.trend}"


def label_of(metric: str | None, labels: Labels) -> Label:
    """The label of an estimate. metric: as `metric_of` gives it; labels: of the run."""
    return labels.of(metric) if metric is not None and metric in METRICS else _PLAIN


def margin_text(claim: ClaimConfig, margin: float, label: Label) -> str:
    """A margin with its unit."""
    if is_ratio(claim):
        return f"{100 * margin:g} %"
    return f"{label.factor * margin:.3g} {label.difference}".rstrip()


def _estimate(claim: ClaimConfig, row: Compared, confidence: float) -> Estimate:
    n = int((row.values == row.values).sum())
    if row.points:
        value, low, high = trend_interval(row.values, row.points, confidence)
        return Estimate(value, low, high, n)
    value, low, high = (float(part) for part in paired_interval(row.values, confidence))
    if low == high and value != 0:  # a few pairs may agree by chance, and their spread is then unknown
        low = high = math.nan
    if is_ratio(claim):
        value, low, high = math.exp(value), math.exp(low), math.exp(high)
    return Estimate(value, low, high, n)


def _numbers(claim: ClaimConfig, estimate: Estimate, label: Label) -> str:
    if is_ratio(claim):
        text = f"{estimate.value:.3f}"
        return text if math.isnan(estimate.low) else f"{text} [{estimate.low:.3f}, {estimate.high:.3f}]"
    text = label.difference_text(estimate.value, estimate.low, estimate.high)
    return f"{text} {label.difference}".rstrip()


def _name_of(claim: ClaimConfig, rule: Rule) -> str:
    if claim.metric in METRICS:
        return rule.labels.heading(claim.metric)
    chosen = ", ".join(f"{key} {value}" for key, value in (claim.select or {}).items())
    return f"{claim.metric}{f' ({chosen})' if chosen else ''}"


def _side_text(claim: ClaimConfig) -> str:
    against = claim.against
    if not isinstance(against, Mapping):
        return against if isinstance(against, str) else f"{against:g}"
    settings, density = other_settings(against), against.get("density")
    name = against.get("arm", "that" if settings else claim.arm)
    with_ = f" with {', '.join(f'{key} = {value}' for key, value in settings.items())}" if settings else ""
    return f"{name}{with_}{'' if density is None else f' (density {density:g})'}"


def _of_function(saved: Saved, run: str, claim: ClaimConfig) -> Declared:
    try:
        check_place(saved, run, claim)
    except UndecidedError as error:
        return Declared("cannot tell", (_sentence(str(error)),))
    found = answered_by_function(saved, run, claim)
    if isinstance(found, str):
        return Declared("cannot tell", (_sentence(found),))
    published, agrees, said = _published_of_function(claim, found.estimate)
    return Declared(found.answer, (*found.why, *said), found.estimate, found.density, published, agrees)


def _published_of_function(
    claim: ClaimConfig, estimate: Estimate | None
) -> tuple[float | None, str | None, tuple[str, ...]]:
    """As `_Judging._published`, by the interval that the function returned."""
    if claim.published is None:
        return None, None, ()
    factor = FACTORS.get(claim.unit or "none", 1.0)
    number, spread = claim.published * factor, (claim.published_spread or 0.0) * factor
    ends = (math.nan, math.nan) if estimate is None else (estimate.low - spread, estimate.high + spread)
    agrees = "cannot tell" if any(map(math.isnan, ends)) else "agrees" if ends[0] <= number <= ends[1] else "differs"
    source = f" ({claim.source})" if claim.source else ""
    return number, agrees, (f"Published{source}: {claim.published:g} {claim.unit or ''}".rstrip() + f"; {agrees}.",)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
