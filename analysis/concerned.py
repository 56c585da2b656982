"""Which runs of a sweep a claim is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tickets.config.claims import DENSITY, OTHER_SIDE, ClaimConfig
from tickets.errors import InputError
from tickets.store.swept import hashable

if TYPE_CHECKING:
    from tickets.store import Saved


class UndecidedError(Exception):
    """Why a claim cannot be answered: something is not there."""


def concerns(saved: Saved, run: str, claim: ClaimConfig) -> bool:
    """Whether a claim is about a run: it has the settings of `where`, and is not the other run itself.

    A trend over a swept key is about the runs that differ in it alone, those that `where` names if it has the key, and
    stands with the first of them.
    """
    if not _on_sweep(claim):
        return True
    try:
        point = _point(saved, run)
    except UndecidedError:
        return True  # and `check_place` says why it cannot be answered
    other = other_settings(claim.against)
    if not _is_among(point, claim.where or {}) or (other and _has(point, other)):
        return False
    if claim.trend is None or claim.trend == DENSITY:
        return True
    return run in runs_of_trend(saved, run, claim)[:1]


def runs_of_trend(saved: Saved, run: str, claim: ClaimConfig) -> list[str]:
    """The runs that differ from a run in the key of a trend alone, by its values; of several, those of `where`."""
    assert claim.trend is not None
    along = saved.sweep.along(run, claim.trend)
    return [one for one in along if in_trend(claim, saved.sweep.point(one)[claim.trend])]


def in_trend(claim: ClaimConfig, value: Any) -> bool:
    """Whether a trend is about a value of its key: `where` may name some of them."""
    where = claim.where or {}
    return claim.trend not in where or _is_among({str(claim.trend): value}, {str(claim.trend): where[claim.trend]})


def check_place(saved: Saved, run: str, claim: ClaimConfig) -> None:
    """Check that the run's place in the sweep is known, if a claim names swept keys.

    Raises
    ------
    UndecidedError
        If it is not.
    """
    if _on_sweep(claim):
        _point(saved, run)


def other_settings(against: Any) -> dict[str, Any]:
    """The settings of another run that a claim's `against` names; empty if it names none."""
    if not isinstance(against, Mapping):
        return {}
    return {key: value for key, value in against.items() if key not in OTHER_SIDE}


def _on_sweep(claim: ClaimConfig) -> bool:
    """Whether a claim names swept keys."""
    return bool(claim.where) or bool(other_settings(claim.against)) or claim.trend not in (None, DENSITY)


def _point(saved: Saved, run: str) -> Mapping[str, Any]:
    try:
        point = saved.sweep.point(run)
    except InputError as error:
        raise UndecidedError(str(error.problems[0])) from None
    if not point:
        raise UndecidedError(f"no sweep in campaign.toml has {run}")
    return point


def _has(point: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    return all(key in point and hashable(point[key]) == hashable(value) for key, value in settings.items())


def _is_among(point: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """As `_has`; a list of values means any of them, unless the swept value is that list itself."""
    return all(
        _has(point, {key: value}) or (isinstance(value, list | tuple) and any(_has(point, {key: one}) for one in value))
        for key, value in settings.items()
    )
