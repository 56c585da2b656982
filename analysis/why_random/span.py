"""The range of some numbers as text."""

from __future__ import annotations

import math
from collections.abc import Iterable


def span(values: Iterable[float], form: str = "g") -> str:
    """`25`, or `25 to 75`: the minimum and the maximum; NaN is left out."""
    there = [value for value in values if not math.isnan(value)]
    if not there:
        return "no value"
    low, high = (format(value, form) for value in (min(there), max(there)))
    return low if low == high else f"{low} to {high}"
