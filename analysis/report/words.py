"""Numbers as readers see them: accuracies in percent, steps whole."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd


def in_unit(values: pd.Series[float], metric: str) -> pd.Series[float]:
    """Values of a metric in the unit that is shown: accuracies in percent."""
    return values * _scale(metric)


def named_unit(metric: str) -> str:
    """The unit as an axis names it."""
    return ", %" if metric.endswith("accuracy") else ""


def value_text(value: float, metric: str) -> str:
    """A value of a metric, with its unit."""
    if math.isnan(value):
        return "no value"
    if metric.endswith("accuracy"):
        return f"{100 * value:.1f} %"
    if metric.endswith("R2"):
        return f"{value:.3f}"
    return f"{value:.0f}" if metric.endswith("step") else f"{value:.4g}"


def with_interval(row: Mapping[str, Any] | pd.Series[Any], metric: str) -> str:
    """`58.4 % [55.9, 60.9]` of a row with mean, low and high."""
    text = value_text(float(row["mean"]), metric)
    if math.isnan(row["low"]):
        return text
    low, high = (value_text(float(row[end]), metric).removesuffix(" %") for end in ("low", "high"))
    return f"{text} [{low}, {high}]"


def _scale(metric: str) -> float:
    return 100.0 if metric.endswith("accuracy") else 1.0
