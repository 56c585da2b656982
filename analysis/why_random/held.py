"""What intervals and counts let one say of a claim.

A claim about a difference says on which side of the margin, the largest difference that does not matter, the true
difference lies. It is shown if the whole interval lies there, and shown not to hold if the whole interval lies
elsewhere; an interval that holds the margin cannot tell. So with 95 % intervals each of the two is said falsely at
most 2.5 times in 100, wherever the true difference lies. One pair has no interval, and cannot tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pandas as pd

from ..metrics import find_metric

Held = Literal["shown", "shown not to hold", "cannot tell"]

SHOWN: Held = "shown"
NOT: Held = "shown not to hold"
UNKNOWN: Held = "cannot tell"


def no_worse(paired: pd.DataFrame) -> list[Held]:
    """Of each row of `paired`: is the first side no worse than the second by more than the margin?"""
    low, high = _advantage(paired)
    return _held(low >= -paired["margin"], high < -paired["margin"])


def better(paired: pd.DataFrame) -> list[Held]:
    """Of each row of `paired`: is the first side better than the second by more than the margin?"""
    low, high = _advantage(paired)
    return _held(low > paired["margin"], high <= paired["margin"])


def worse(paired: pd.DataFrame) -> list[Held]:
    """Of each row of `paired`: is the first side worse than the second by more than the margin?"""
    low, high = _advantage(paired)
    return _held(high < -paired["margin"], low >= -paired["margin"])


def equivalent(paired: pd.DataFrame) -> list[Held]:
    """Of each row of `paired`: do the sides differ by no more than the margin?"""
    low, high = _advantage(paired)
    margin = paired["margin"]
    return _held((low >= -margin) & (high <= margin), (low > margin) | (high < -margin))


def together(found: Iterable[Held]) -> Held:
    """What is to be said of all at once: that they hold, or that none does; else that one cannot tell.

    Each must be shown by itself, so all are shown with the confidence of one (an intersection-union test: Berger,
    Technometrics 24, 1982).
    """
    different = set(found)
    return different.pop() if len(different) == 1 else UNKNOWN


def _advantage(paired: pd.DataFrame) -> tuple[pd.Series[float], pd.Series[float]]:
    """The interval of how much better the first side is."""
    more = paired["metric"].map(lambda name: find_metric(name).more_is_better).astype(bool)
    low, high = paired["low"].astype(float), paired["high"].astype(float)
    return low.where(more, -high), high.where(more, -low)


def _held(yes: pd.Series[bool], no: pd.Series[bool]) -> list[Held]:
    # Comparisons with NaN, where there is no interval, are False both ways.
    return [SHOWN if shown else NOT if refuted else UNKNOWN for shown, refuted in zip(yes, no, strict=True)]
