"""The names in a figure: beside where lines end, or in a legend, none over another and none cut."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath

from .panels import GAP, WIDTH

_ROW = 0.2  # inches of a row of a legend


def room_for(texts: Iterable[str], size: float = 10) -> float:
    """The share of a figure's width that the longest of these texts takes, at so many points."""
    font = FontProperties(family="DejaVu Sans")
    drawn = sorted({text for text in texts if text.strip()})
    widths = [TextPath((0, 0), text, size=size, prop=font).get_extents().width for text in drawn]
    return float(max(widths, default=0.0)) / 72 / WIDTH


def short_names(names: Iterable[str], most: int = 36) -> dict[str, str]:
    """Each name with at most so many letters, left out in the middle, at the end or at the beginning.

    Different names stay different: where that takes whole names, these are kept.
    """
    every = list(dict.fromkeys(names))
    half, rest = most // 2, most - most // 2 - 1
    cuts: Sequence[Callable[[str], str]] = (
        lambda name: f"{name[:half]}…{name[-rest:]}",
        lambda name: f"{name[: most - 1]}…",
        lambda name: f"…{name[1 - most :]}",
    )
    for cut in cuts:
        short = {name: name if len(name) <= most else cut(name) for name in every}
        if len(set(short.values())) == len(every):
            return short
    return {name: name for name in every}


def label_ends(axes: Axes, ends: Sequence[tuple[str, float, float, str]]) -> None:
    """Write (text, x, y, colour) right of the panel, beside where each line ends, none over another.

    The axes' limits and scales must be what they will be.
    """
    if not ends:
        return
    axes.autoscale_view()
    place = axes.transData + axes.transAxes.inverted()
    points = [place.transform((x, y)) for _, x, y, _ in ends]
    figure = axes.get_figure(root=True)
    assert figure is not None
    gap = GAP / (figure.get_figheight() * axes.get_position().height)
    heights = spread([float(point[1]) for point in points], gap, within=(0.0, 1.0))
    for (text, _, _, colour), point, height in zip(ends, points, heights, strict=True):
        leader: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False, "color": colour, "linewidth": 1}
        axes.plot([point[0] + 0.015, 1.055], [point[1], height], **leader)
        axes.text(1.07, height, text, transform=axes.transAxes, va="center", fontsize=10)


def spread(heights: Sequence[float], gap: float, within: tuple[float, float] = (-math.inf, math.inf)) -> list[float]:
    """Heights at least `gap` apart, in the same order, and as near to those given as can be (least squares).

    within: where all of them must lie, if there is room for so many; else they begin at the lower end.
    """
    order = np.argsort(heights, kind="stable")
    # With i gaps taken off the i-th height, "at least a gap apart" is "not falling": pool adjacent violators.
    pools: list[tuple[float, int]] = []
    for rank, index in enumerate(order):
        mean, count = heights[index] - rank * gap, 1
        while pools and pools[-1][0] > mean:
            other, size = pools.pop()
            mean, count = (mean * count + other * size) / (count + size), count + size
        pools.append((mean, count))
    # Cut to bounds, the nearest without bounds is the nearest within them.
    low, high = within[0], within[1] - max(len(heights) - 1, 0) * gap
    flat = [max(low, min(mean, high)) for mean, count in pools for _ in range(count)]
    placed = {int(index): flat[rank] + rank * gap for rank, index in enumerate(order)}
    return [placed[index] for index in range(len(heights))]


def legend_above(figure: Figure, looks: Sequence[Line2D], texts: Sequence[str]) -> None:
    """A legend over the panels of a figure whose layout is constrained, in as many columns as fit, three at most.

    The figure becomes higher by the legend's rows.
    """
    shown = [short_names(texts)[text] for text in texts]
    column = room_for(shown) + 50 / 72 / WIDTH  # the line, and what is free around it
    columns = max(1, min(len(shown), 3, int(1 / column)))
    figure.set_figheight(figure.get_figheight() + _ROW * (-(-len(shown) // columns) - 1))
    options: dict[str, Any] = {"loc": "outside upper left", "ncols": columns, "handlelength": 1.2}
    legend = figure.legend(looks, ["-"] * len(shown), **options)  # it takes no name that begins with an underscore
    for text, name in zip(legend.get_texts(), shown, strict=True):
        text.set_text(name)
