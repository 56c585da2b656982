"""The point of a campaign's sweep at which each of its runs stands."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from tickets.store.asked import runs_by_id, saved_campaign
from tickets.store.layout import Layout

Point = Mapping[str, Any]


@lru_cache(maxsize=8)
def _points(folder: Path, stamp: tuple[int, int]) -> Mapping[str, Point]:
    campaign = saved_campaign(folder)
    if campaign is None:
        return {}
    points = itertools.product(*campaign.sweep.values())
    return {
        name: dict(zip(campaign.sweep, values, strict=True))
        for name, values in zip(runs_by_id(folder, campaign), points, strict=True)
    }


def swept_values(folder: Path) -> Mapping[str, Point]:
    """{run: {swept key: its value}}, for each run that a campaign asks for; empty without a campaign.toml.

    Parameters
    ----------
    folder : Path
        The campaign's folder.

    Raises
    ------
    InputError
        If campaign.toml is damaged.
    """
    file = folder / Layout.CAMPAIGN
    if not file.is_file():
        return {}
    found = file.stat()
    return _points(folder.absolute(), (found.st_size, found.st_mtime_ns))


class Sweep:
    """The points of several runs, each in the sweep of its own campaign.

    Parameters
    ----------
    runs : mapping
        {run: its folder}.
    """

    def __init__(self, runs: Mapping[str, Path]) -> None:
        self._runs = runs
        self._points: dict[Path, Mapping[str, Point]] = {}
        self._at: dict[Hashable, str] | None = None
        self._lines: dict[str, dict[Hashable, list[str]]] = {}

    def point(self, run: str) -> Point:
        """{swept key: its value} of a run; empty if no campaign.toml asks for it.

        Raises
        ------
        InputError
            If campaign.toml is damaged.
        """
        folder = self._runs[run].parent
        if folder not in self._points:
            self._points[folder] = swept_values(folder)
        return self._points[folder].get(run, {})

    def other(self, run: str, settings: Point) -> str | None:
        """The run of the same campaign that differs from one in some settings alone; None if it is not saved."""
        if self._at is None:
            self._at = {(self._runs[one].parent, hashable(self.point(one))): one for one in sorted(self._runs)}
        point = self.point(run)
        return self._at.get((self._runs[run].parent, hashable({**point, **settings}))) if point else None

    def along(self, run: str, key: str) -> list[str]:
        """The runs of the same campaign that differ from one in a swept key alone, itself too, by rising value."""
        if key not in self._lines:
            lines: dict[Hashable, list[str]] = {}
            for one in sorted(self._runs, key=lambda one: (_order(self.point(one).get(key)), one)):
                if key in self.point(one):
                    lines.setdefault(self._line(one, key), []).append(one)
            self._lines[key] = lines
        return list(self._lines[key].get(self._line(run, key), ()))

    def missing(self, run: str, key: str) -> list[Any]:
        """The values of a swept key that the campaign asks for along a run and that no run of `along` has."""
        point = self.point(run)
        wanted = [one for one in self._points[self._runs[run].parent].values() if _like(one, point, key)]
        there = {hashable(self.point(one)[key]) for one in self.along(run, key)}
        return [one[key] for one in wanted if hashable(one[key]) not in there]

    def _line(self, run: str, key: str) -> Hashable:
        rest = {name: value for name, value in self.point(run).items() if name != key}
        return self._runs[run].parent, hashable(rest)


def _like(point: Point, other: Point, key: str) -> bool:
    """Whether two points of a sweep differ in one key at most."""
    return all(hashable(value) == hashable(other[name]) for name, value in point.items() if name != key)


def hashable(value: Any) -> Hashable:
    """A value of a campaign file as one that equals it where they are alike; lists and tuples are alike."""
    if isinstance(value, Mapping):
        return tuple((name, hashable(value[name])) for name in sorted(value))
    if isinstance(value, list | tuple):
        return tuple(map(hashable, value))
    return ("true or false", value) if isinstance(value, bool) else value


def as_number(value: Any) -> float | None:
    """The number that a swept value counts as in a trend; None if it counts as none.

    A list of equal numbers counts as that number: widths = [512, 512] as 512.
    """
    if isinstance(value, list | tuple):
        numbers = {as_number(one) for one in value}
        return numbers.pop() if len(numbers) == 1 else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _order(value: Any) -> tuple[str, float, str]:
    """Numbers by size, other values by their text."""
    number = as_number(value)
    return ("", number, "") if number is not None else (type(value).__name__, 0.0, repr(value))
