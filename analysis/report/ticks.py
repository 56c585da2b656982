"""Axes of figures: ticks of log axes, and limits for values that have bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

_LETTER = 6.4  # points; about the width of a digit of a tick label
_TICKS = ((1.0,), (1.0, 2.0, 5.0), tuple(range(1, 10)), tuple(np.arange(2, 20) / 2), tuple(np.arange(10, 100) / 10))
"""Candidate ticks of a log axis, times powers of ten: the first set that gives three ticks whose labels fit is used."""


def density_axis(axes: Axes, densities: Sequence[float]) -> None:
    """Set up a horizontal axis of density, on a log scale, falling from left to right."""
    # A log axis has no 0, so a network without any weight is not shown.
    there = [density for density in densities if density > 0]
    high, low = max(there), min(there)
    axes.set_xscale("log")
    axes.set_xlim(high * 1.06, low / 1.06 if low < high else low / 2)
    label_fractions(axes.xaxis, low / 1.06, high * 1.06)
    axes.set_xlabel("density (log scale, falling)")


def label_fractions(axis: Axis, low: float, high: float) -> None:
    """Put ticks at round numbers of at most 1 on a log axis; at least three, if their labels fit.

    Parameters
    ----------
    axis : Axis
        Its limits and scale must be final.
    low, high : float
        The range of the ticks.
    """
    shown: list[float] = []
    for steps in _TICKS:
        every = sorted({round(float(step) * 10.0**power, 9) for power in range(-7, 1) for step in steps})
        ticks = [tick for tick in every if low <= tick <= min(high, 1)]
        if len(ticks) > len(shown) and _fit(axis, ticks):
            shown = ticks
        if len(shown) >= 3:
            break
    axis.set_major_locator(FixedLocator(shown))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _fit(axis: Axis, ticks: Sequence[float]) -> bool:
    """Whether the labels of these ticks of a log axis fit without touching."""
    figure = axis.axes.get_figure(root=True)
    assert figure is not None
    place, across = axis.axes.get_position(), isinstance(axis, XAxis)
    length = 72 * (place.width * figure.get_figwidth() if across else place.height * figure.get_figheight())
    low, high = sorted(float(end) for end in axis.get_view_interval())
    middles = [length * math.log(tick / low) / math.log(high / low) for tick in ticks]
    sizes = [_LETTER * (len(f"{tick:g}") + 1) if across else 15.0 for tick in ticks]
    return all(
        other - one >= (size + after) / 2
        for (one, other), (size, after) in zip(pairwise(middles), pairwise(sizes), strict=True)
    )


def plain_log(axis: Axis, steps: Sequence[float] = (1.0,)) -> None:
    """Put ticks at these multiples of powers of ten on a log axis, written as plain numbers."""
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def within(axes: Axes, low: float = -math.inf, high: float = math.inf) -> None:
    """Cut the vertical axis of a panel to the range of possible values, from `low` to `high`."""
    axes.autoscale_view()
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(bottom, low), min(top, high))
