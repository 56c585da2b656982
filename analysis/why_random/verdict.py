"""The verdict on a claim, by confidence intervals.

A claim about a difference says that the true difference lies on one side of the margin of equivalence. It is `shown`
if the whole interval lies on that side, `shown not to hold` if the whole interval lies on the other side, and
`cannot tell` if the interval contains the margin. With 95 % intervals, each of the first two is wrong at most 2.5 times
in 100, wherever the true difference lies. A single pair has no interval: `cannot tell`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pandas as pd

from ..metrics import find_metric

Verdict = Literal["shown", "shown not to hold", "cannot tell"]

SHOWN: Verdict = "shown"
REFUTED: Verdict = "shown not to hold"
UNKNOWN: Verdict = "cannot tell"


def no_worse(paired: pd.DataFrame) -> list[Verdict]:
    """For each row of `paired`: is the first side no worse than the second by more than the margin?"""
    low, high = _advantage(paired)
    return each(low >= -paired["margin"], high < -paired["margin"])


def better(paired: pd.DataFrame) -> list[Verdict]:
    """For each row of `paired`: is the first side better than the second by more than the margin?"""
    low, high = _advantage(paired)
    return each(low > paired["margin"], high <= paired["margin"])


def worse(paired: pd.DataFrame) -> list[Verdict]:
    """For each row of `paired`: is the first side worse than the second by more than the margin?"""
    low, high = _advantage(paired)
    return each(high < -paired["margin"], low >= -paired["margin"])


def equivalent(paired: pd.DataFrame) -> list[Verdict]:
    """For each row of `paired`: do the sides differ by no more than the margin?"""
    low, high = _advantage(paired)
    margin = paired["margin"]
    return each((low >= -margin) & (high <= margin), (low > margin) | (high < -margin))


def each(shown: pd.Series[bool], refuted: pd.Series[bool]) -> list[Verdict]:
    """The verdict on each row; `cannot tell` where neither condition holds, as for comparisons with NaN."""
    return [SHOWN if yes else REFUTED if no else UNKNOWN for yes, no in zip(shown, refuted, strict=True)]


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on all cases together: the common one if all are equal, else `cannot tell`.

    Each must be shown by itself, so all are shown with the confidence of one (an intersection-union test: Berger,
    Technometrics 24, 1982).
    """
    different = set(verdicts)
    return different.pop() if len(different) == 1 else UNKNOWN


def _advantage(paired: pd.DataFrame) -> tuple[pd.Series[float], pd.Series[float]]:
    """The interval of how much better the first side is."""
    more = paired["metric"].map(lambda name: find_metric(name).more_is_better).astype(bool)
    low, high = paired["low"].astype(float), paired["high"].astype(float)
    return low.where(more, -high), high.where(more, -low)
