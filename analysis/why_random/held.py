"""What intervals and counts let one say of a claim."""

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
    """Of each row of `paired`: is the first side no worse than the second, but for what does not matter?

    Shown if its whole interval lies above -margin, shown not to hold if all of it lies below (of losses, where less
    is better: the other way round). One pair has no interval, and cannot tell.
    """
    low, high = _advantage(paired)
    return _held(low >= -paired["margin"], high < -paired["margin"])


def better(paired: pd.DataFrame) -> list[Held]:
    """Of each row of `paired`: is the first side better than the second, by more than what does not matter?

    Shown if `verdict` says so; shown not to hold if the whole interval lies at or below the margin.
    """
    _, high = _advantage(paired)
    return _held(paired["verdict"] == "better", high <= paired["margin"])


def worse(paired: pd.DataFrame) -> list[Held]:
    """Of each row of `paired`: is the first side worse than the second? The mirror image of `better`."""
    low, _ = _advantage(paired)
    return _held(paired["verdict"] == "worse", low >= -paired["margin"])


def equivalent(paired: pd.DataFrame) -> list[Held]:
    """Of each row of `paired`: do the sides differ by no more than what does not matter?

    Shown if `verdict` says so; shown not to hold if it says `better` or `worse`.
    """
    return _held(paired["verdict"] == "equivalent", paired["verdict"].isin(["better", "worse"]))


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
