"""Durations as text."""

from __future__ import annotations

# Up to so many seconds, an estimate is a multiple of so many.
_ROUNDED = ((20, 1), (90, 5), (20 * 60, 60), (90 * 60, 5 * 60), (10 * 3600, 1800), (float("inf"), 3600))


def spoken(seconds: float) -> str:
    """A duration in the unit that suits it: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def estimated(seconds: float) -> str:
    """As `spoken`, with no more digits than an estimate is good for: "14 s", "35 s", "12 min", "35 min", "3.5 h"."""
    unit = next(unit for most, unit in _ROUNDED if seconds < most)
    return spoken(unit * round(seconds / unit))
