"""How starts look: a colour for each kind, the same in every figure, and a marker for each start of the kind."""

from __future__ import annotations

from collections.abc import Iterable

from ..labels import room_for
from ..look import Look, nth_look

_COLOURS = {"random": 0, "equal": 1, "deterministic": 2, "mask": 4}
"""Which of the looks each kind has the colour of; `mask`: equal weights under a mask."""


def look_of_kind(kind: str, index: int = 0) -> Look:
    """The look of the index-th start of a kind."""
    return Look(nth_look(_COLOURS[kind]).colour, nth_look(index).marker)


def right_of(labels: Iterable[str], left: float) -> float:
    """Where panels that begin at `left` must end for `label_ends` to have room: it writes at 1.07 of their width."""
    return (0.99 - room_for(labels) + 0.07 * left) / 1.07
