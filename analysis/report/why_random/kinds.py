"""The looks of starts: a colour per kind of start, the same in every figure, and a marker per start of a kind."""

from __future__ import annotations

from collections.abc import Iterable

from ..annotation import room_for
from ..look import Look, nth_look

_COLOURS = {"random": 0, "equal": 1, "deterministic": 2, "mask": 4}
"""The index of the look that gives each kind its colour; `mask`: equal weights under a mask."""


def look_of_kind(kind: str, index: int = 0) -> Look:
    """The look of the start number `index` of a kind."""
    return Look(nth_look(_COLOURS[kind]).colour, nth_look(index).marker)


def right_of(labels: Iterable[str], left: float) -> float:
    """The right edge of panels that begin at `left` and leave room for `label_ends`, at 1.07 of their width."""
    return (0.99 - room_for(labels) + 0.07 * left) / 1.07
