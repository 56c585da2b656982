"""Numbers in the evidence for a claim."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from tickets.plurals import counted

from ..labels import CLASSIFICATION, signed


def span(values: Iterable[float], form: str = "g") -> str:
    """`25`, or `25 to 75`: the minimum and the maximum; NaN is left out."""
    there = [value for value in values if not math.isnan(value)]
    if not there:
        return "no value"
    low, high = (format(value, form) for value in (min(there), max(there)))
    return low if low == high else f"{low} to {high}"


def extremes(paired: pd.DataFrame) -> str:
    """The smallest and the largest difference of some rows of `paired`.

    As in `+1.59 nats [+1.50, +1.68] to +2.33 nats [+2.20, +2.46] (7 comparisons of 5 pairs each)`.
    """
    there = paired[paired["difference"].notna()]
    pairs = f"{span(paired['n'], '.0f')} pair{'s' if (paired['n'] != 1).any() else ''}"
    if there.empty:
        return f"no difference could be measured ({counted(len(paired), 'comparison')} of {pairs})"
    order = there.sort_values("difference", kind="stable")
    texts = list(dict.fromkeys(difference(order.iloc[place]) for place in (0, -1)))
    many = f"{counted(len(paired), 'comparison')} of {pairs} each" if len(paired) > 1 else pairs
    return f"{' to '.join(texts)} ({many}{_lost(paired)})"


def difference(row: Mapping[Any, Any] | pd.Series[Any]) -> str:
    """A row of `paired` as `+0.42 points [-0.10, +0.94]`; without brackets where there is no interval."""
    label = CLASSIFICATION.of(str(row["metric"]))
    value, low, high = (label.factor * float(row[name]) for name in ("difference", "low", "high"))
    if math.isnan(value):
        return "no pair"
    text, _, interval = signed(value, low, high, label.difference_form).partition(" ")
    return " ".join(filter(None, [text, label.difference, interval]))


def percent(values: Iterable[float]) -> str:
    """`8.2 %`, or `8.2 to 8.9 %`: the minimum and the maximum of accuracies."""
    text = span((100 * value for value in values), ".1f")
    return text if text == "no value" else f"{text} %"


def _lost(paired: pd.DataFrame) -> str:
    lost = int(paired["diverged"].sum())
    return f"; {counted(lost, 'training')} without a value left out" if lost else ""
