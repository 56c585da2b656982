"""The tables [[claim]]: statements about arms, written before training and answered from saved runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from tickets.config import bounds
from tickets.config.claim_rules import dense_problems, metric_problems
from tickets.config.rule import Broken, Flat
from tickets.config.train import Section
from tickets.config.types import (
    LIST,
    Label,
    NotNegative,
    Number,
    Option,
    PositiveFraction,
    Target,
    legal,
    one_of,
)
from tickets.errors import nearest

WINNING = "winning_ticket"
"""The claim of every run."""
DENSE = "dense"
"""What a claim's `against` calls the ticket's own network of round 0."""
DENSITY = "density"
"""What a claim's `trend` calls the rounds."""
OTHER_SIDE = ("arm", "density")
"""Keys of a claim's `against` that are no settings: the other side's arm and density, if they are not the same."""

ExpectName = Literal["more", "less", "no less", "no more", "equal"]
HoldsName = Literal["all", "any"]
UnitName = Literal["fraction", "percent", "points", "steps", "ratio", "nats", "none"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")

EXPECTATIONS = get_args(ExpectName)

MEASURED = (
    "early_stop_step", "early_stop_test_accuracy", "early_stop_validation_loss", "final_test_accuracy",
    "final_test_loss", "final_train_loss", "steps_to_dense_loss", "untrained_test_accuracy", "last_step", "seconds",
)  # fmt: skip
"""The columns of `rounds` that are measured."""


def _is_line(text: str) -> bool:
    return 0 < len(text) <= bounds.LINE and text.isprintable()


def _is_settings(value: Any) -> bool:
    """Whether a table can be of settings: dotted keys, each with a value."""
    return isinstance(value, Mapping) and bool(value) and all(isinstance(key, str) and key for key in value)


_Line = Annotated[
    str,
    legal(
        f"must be 1 to {bounds.LINE:,} letters, without line breaks and control characters",
        _is_line,
        short="a text of one line",
    ),
]
_Settings = Annotated[
    Option,
    legal('must be a table of settings, such as { "train.learning_rate" = 1e-3 }', _is_settings, short="a table"),
]
_Select = Annotated[
    Option,
    legal(
        'must be a table of columns, each with a string, a number, true or false, such as { layer = "hidden.0" }',
        lambda value: _is_settings(value) and all(isinstance(one, str | int | float) for one in value.values()),
        short="a table",
    ),
]
_Against = Annotated[
    Option,
    legal(
        f'must be the name of an arm, "{DENSE}", a number, or a table of settings that another run of the sweep has, '
        "which may hold `arm` and `density`",
        lambda value: (isinstance(value, int | float | str) and not isinstance(value, bool)) or _is_settings(value),
    ),
]


class ClaimConfig(Section):
    """A statement about an arm, and how it is judged. No saved number depends on it."""

    id: Label  # its name in tables
    says: _Line  # what it says, a sentence
    source: _Line | None = None  # where it was published, to the section
    arm: str = "ticket"  # the label of an arm
    against: _Against | None = None  # an arm, "dense", a number, or { KEY of another run of the sweep, arm, density }
    metric: str = "early_stop_test_accuracy"  # a column of `rounds`, or PROBE.COLUMN
    where: _Settings | None = None  # settings of the runs that it is about, a value or a list of values; none: all
    select: _Select | None = None  # of a probe's rows: { layer = "hidden.0" }
    density: PositiveFraction | None = None  # of the round that decides, the nearest one
    # Or of several rounds; neither: all after the dense one.
    densities: Annotated[tuple[PositiveFraction, ...], LIST] = ()
    holds: Annotated[HoldsName, one_of("choice", get_args(HoldsName))] = "all"  # in all of them, or in any
    trend: str | None = None  # "density" or a swept key: expect is of the rank correlation with it
    expect: Annotated[ExpectName, one_of("choice", EXPECTATIONS)] | None = None  # of arm minus against
    margin: NotNegative | None = None  # in the metric's unit, >= 0; none: as in comparisons, and 0 for more and less
    published: Number | None = None  # the paper's number, in `unit`
    published_spread: NotNegative | None = None  # its own stated spread, in `unit`, >= 0
    unit: Annotated[UnitName, one_of("unit", get_args(UnitName))] | None = None  # of published and its spread
    function: Target | None = None  # "module:function" that answers it, in place of arm, against, expect, ...


_DECLARED = ("arm", "against", "metric", "select", "density", "densities", "holds", "trend", "expect", "margin")
"""The keys that mean nothing where a function answers."""
_DEFAULTS = {key: ClaimConfig.model_fields[key].default for key in _DECLARED}


def broken_claims(values: Flat) -> Iterator[Broken]:
    """The rules about claims that a flat table breaks."""
    places = [f"claim[{index}]" for index in range(len(values.get("claim", ())))]
    ids = [values.get(f"{at}.id") for at in places]
    for index, (at, name) in enumerate(zip(places, ids, strict=True)):
        if name == WINNING:
            yield Broken(f"{at}.id", "is the claim that every run has; give another id")
        elif name is not None and name in ids[:index]:
            yield Broken(f"{at}.id", f"is there already as claim[{ids.index(name)}]; give another id")
        yield from _one(values, at)


def _one(values: Flat, at: str) -> Iterator[Broken]:
    given = {key: values[f"{at}.{key}"] for key in ClaimConfig.model_fields if f"{at}.{key}" in values}
    if given.get("published") is None:
        for key in ("published_spread", "unit"):
            if given.get(key) is not None:
                yield Broken(f"{at}.{key}", "goes with `published`, the number that it is of")
    if given.get("function") is not None:
        for key in _DECLARED:
            if key in given and given[key] != _DEFAULTS[key] and list(given[key] or ()) != list(_DEFAULTS[key] or ()):
                yield Broken(f"{at}.{key}", "means nothing where a function answers; leave it out")
        return
    if "expect" in given and given["expect"] is None:
        yield Broken(f"{at}.expect", f"must be one of {', '.join(EXPECTATIONS)}")
    yield from _sides(values, at, given)
    yield from _places(at, given)
    yield from _metric(values, at, given)
    yield from metric_problems(at, given, values.get("train.loss"))
    yield from dense_problems(at, given)


def _sides(values: Flat, at: str, given: Mapping[str, Any]) -> Iterator[Broken]:
    """Errors in the arms that a claim compares."""
    labels = _labels(values)
    if labels is not None and "arm" in given and given["arm"] not in labels:
        yield Broken(f"{at}.arm", f"is no arm of this campaign{nearest(given['arm'], labels)} ({_these(labels)})")
    if "against" not in given:
        return
    against = given["against"]
    if against is None and given.get("trend") is None:
        yield Broken(f"{at}.against", f'must be given: an arm, "{DENSE}", a number or another run; or give `trend`')
    if isinstance(against, str):
        if labels is not None and against not in (*labels, DENSE):
            near = nearest(against, [*labels, DENSE])
            yield Broken(f"{at}.against", f'is neither an arm of this campaign nor "{DENSE}"{near} ({_these(labels)})')
        elif against == given.get("arm"):
            yield Broken(f"{at}.against", "is the same arm; compare it with another one")
    elif isinstance(against, Mapping):
        yield from _other_side(at, given, against, labels)


def _other_side(
    at: str, given: Mapping[str, Any], against: Mapping[str, Any], labels: Sequence[str] | None
) -> Iterator[Broken]:
    """Errors in the arm and the density that a table `against` names."""
    arm, density = (against.get(key) for key in OTHER_SIDE)
    if "arm" in against and labels is not None and arm not in labels:
        yield Broken(f"{at}.against.arm", f"is no arm of this campaign{nearest(str(arm), labels)} ({_these(labels)})")
    number = isinstance(density, int | float) and not isinstance(density, bool) and 0 < density <= 1
    if "density" in against and not number:
        yield Broken(f"{at}.against.density", "must be a number greater than 0 and at most 1")
    elif against.keys() <= set(OTHER_SIDE) and arm in (None, given.get("arm")) and density in (None, *_decided(given)):
        yield Broken(f"{at}.against", "is the same arm at the same density; compare it with another one")


def _decided(given: Mapping[str, Any]) -> Sequence[float | None]:
    """The densities that a claim names; None where it names none."""
    several: Sequence[float] = given.get("densities") or ()
    return several or (given.get("density"),)


def _labels(values: Flat) -> list[str] | None:
    """The labels of the campaign's arms; None if one of them is wrong."""
    if "arms" not in values:
        return None
    found = [
        one if isinstance(one, str) else values.get(f"arms[{index}].label") or values.get(f"arms[{index}].name")
        for index, one in enumerate(values["arms"])
    ]
    return None if None in found else [str(label) for label in found]


def _these(labels: Sequence[str]) -> str:
    return f"allowed: {', '.join(labels)}"


def _places(at: str, given: Mapping[str, Any]) -> Iterator[Broken]:
    """Errors in where a claim is decided."""
    several = given.get("densities") or ()
    if given.get("density") is not None and several:
        yield Broken(f"{at}.densities", "does not go with `density`; give one of them")
    if given.get("holds") == "any" and (given.get("density") is not None or given.get("trend") is not None):
        yield Broken(f"{at}.holds", "is of several densities, and there is one answer here; leave it out")
    if given.get("trend") is not None and several:
        yield Broken(f"{at}.densities", "does not go with `trend`, which is over all rounds or at one `density`")
    if given.get("trend") == DENSITY and given.get("density") is not None:
        yield Broken(f"{at}.density", "does not go with a trend over density; leave it out")


def _metric(values: Flat, at: str, given: Mapping[str, Any]) -> Iterator[Broken]:
    """Errors in the name of what is compared."""
    metric = given.get("metric")
    if not isinstance(metric, str):
        return
    probe, dot, column = metric.partition(".")
    if not dot:
        if metric not in MEASURED:
            allowed = f"allowed: {', '.join(MEASURED)}, or PROBE.COLUMN"
            yield Broken(f"{at}.metric", f"is no measured column of `rounds`{nearest(metric, MEASURED)} ({allowed})")
        elif given.get("select") is not None:
            yield Broken(f"{at}.select", "is of a probe's table, and the metric is none of a probe; leave it out")
        return
    names = [
        one if isinstance(one, str) else values.get(f"probes[{index}].name")
        for index, one in enumerate(values.get("probes", ()))
    ]
    tables = [str(name).rpartition(":")[2] for name in names if name is not None]
    tables += ["units"] if values.get("store.units") is True else []
    if not column or probe not in tables:
        there = ", ".join(tables) or "none"
        yield Broken(f"{at}.metric", f"must be PROBE.COLUMN of a probe of this campaign (`probes`; there are: {there})")


def swept_problems(claims: Sequence[ClaimConfig], sweep: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Errors in how claims name swept keys: (key, its value, what is wrong) each.

    Parameters
    ----------
    claims
        The claims of a campaign.
    sweep
        The campaign's swept values by dotted key.
    """
    swept = ", ".join(sweep) or "none"
    for index, claim in enumerate(claims):
        if claim.trend is not None and claim.trend != DENSITY and claim.trend not in sweep:
            near = nearest(claim.trend, [*sweep, DENSITY])
            sentence = f'must be "{DENSITY}" or a swept key{near} (swept: {swept})'
            yield f"claim[{index}].trend", claim.trend, sentence
        if _is_itself(claim, sweep):
            sentence = "has the settings of `where`, so that no run is left to compare; name others in one of them"
            yield f"claim[{index}].against", claim.against, sentence
        for key in ("against", "where"):
            table = getattr(claim, key)
            for name, value in table.items() if isinstance(table, Mapping) else ():
                at = f"claim[{index}].{key}." + (name if _BARE.fullmatch(name) else f'"{name}"')
                if key == "against" and name in OTHER_SIDE:
                    continue
                several = value if key == "where" and isinstance(value, list | tuple) and value else ()
                if name not in sweep:
                    yield at, value, f"must be a swept key{nearest(name, sweep)} (swept: {swept})"
                elif value not in sweep[name] and not (several and all(one in sweep[name] for one in several)):
                    yield at, value, f"is not among the swept values ({', '.join(map(str, sweep[name]))[:200]})"


def _is_itself(claim: ClaimConfig, sweep: Mapping[str, Any]) -> bool:
    """Whether every run of a claim has the settings of the other run that it is compared with."""
    against, where = claim.against, claim.where or {}
    if not isinstance(against, Mapping):
        return False
    settings = {key: value for key, value in against.items() if key not in OTHER_SIDE}
    return bool(settings) and all(
        key in where and value in sweep.get(key, ()) and where[key] in (value, [value], (value,))
        for key, value in settings.items()
    )
