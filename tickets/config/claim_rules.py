"""Which units, sides and margins a claim's metric takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tickets.config.rule import Broken

RATIOS = ("early_stop_step", "steps_to_dense_loss")
"""The metrics whose sides are compared as a ratio."""
_WITHOUT_MARGIN = ("last_step", "seconds")
"""The columns of `rounds` that comparisons have no margin for."""
_NUMBERS = ("none", "fraction", "percent", "points")


def units_of(metric: str, loss: str | None, trend: bool) -> Sequence[str]:
    """The units that a published number can have, the one that is meant where none is given first.

    Parameters
    ----------
    metric : str
        A column of `rounds`, or PROBE.COLUMN, which may be measured in any unit.
    loss : str, optional
        `train.loss`, if it is known: an accuracy is a fraction for classes, R2 with "mse".
    trend : bool
        Whether the number is a rank correlation.
    """
    if trend:
        return ("none",)
    if metric in RATIOS:
        return ("ratio", "none")
    if metric.endswith("accuracy"):
        return _NUMBERS[1:] if loss in ("cross_entropy", "mse_one_hot") else _NUMBERS
    if metric.endswith("loss"):
        return ("nats", "none") if loss == "cross_entropy" else ("none", "nats")
    return {"last_step": ("steps", "none"), "seconds": ("none",)}.get(metric, (*_NUMBERS, "steps", "ratio", "nats"))


def metric_problems(at: str, given: Mapping[str, Any], loss: str | None) -> Iterator[Broken]:
    """Errors in what a claim without a function says of its metric.

    Parameters
    ----------
    at : str
        The claim's place, such as "claim[0]".
    given : mapping
        Its keys, without those that are wrong in themselves.
    loss : str, optional
        `train.loss`, if it is known.
    """
    metric = given.get("metric")
    if not isinstance(metric, str):
        return
    trend, ratio = given.get("trend") is not None, metric in RATIOS and given.get("trend") is None
    unit, allowed = given.get("unit"), units_of(metric, loss, trend)
    if unit is not None and unit not in allowed:
        what = "a rank correlation" if trend else metric
        yield Broken(f"{at}.unit", f"is no unit of {what} (allowed: {', '.join(allowed)})")
    for key in ("against", "published"):
        number = given.get(key)
        if ratio and isinstance(number, int | float) and number <= 0:
            yield Broken(f"{at}.{key}", f"must be greater than 0, since {metric} is compared as a ratio")
    published = given.get("published")
    if trend and published is not None and abs(published) > 1:
        yield Broken(f"{at}.published", "must be in [-1, 1], where rank correlations are")
    margin = given.get("margin")
    none = trend or "." in metric or metric in _WITHOUT_MARGIN
    if given.get("expect") == "equal" and (margin == 0 or (none and margin is None and "margin" in given)):
        sentence = 'must be greater than 0 where `expect` is "equal": no interval shows a difference of exactly 0'
        yield Broken(f"{at}.margin", sentence)


def dense_problems(at: str, given: Mapping[str, Any]) -> Iterator[Broken]:
    """Errors in a claim at density 1, where the ticket and the dense network are one.

    Parameters
    ----------
    at : str
        The claim's place, such as "claim[0]".
    given : mapping
        Its keys, without those that are wrong in themselves.
    """
    if given.get("arm") != "ticket" or given.get("against") != "dense":
        return
    for key, value in (("density", (given.get("density"),)), ("densities", given.get("densities") or ())):
        if 1 in value:
            yield Broken(f"{at}.{key}", "has the dense network on both sides; give densities below 1")
