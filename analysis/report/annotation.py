"""The names of lines in a figure: at the ends of the lines or in a legend, without overlap and uncut."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath

from .panels import GAP, WIDTH
from .visible import visible

_ROW = 0.2  # inches of a row of a legend


def room_for(texts: Iterable[str], size: float = 10) -> float:
    """The share of a figure's width that the longest of some texts takes.

    Parameters
    ----------
    texts : iterable of str
        The texts.
    size : float
        Font size, in points.
    """
    font = FontProperties(family="DejaVu Sans")
    drawn = sorted({visible(text) for text in texts if text.strip()})
    widths = [TextPath((0, 0), text, size=size, prop=font).get_extents().width for text in drawn]
    return float(max(widths, default=0.0)) / 72 / WIDTH


def short_names(names: Iterable[str], most: int = 36) -> dict[str, str]:
    """Shorten names, and make them visible, for a figure: {name: shortened name}.

    Letters are left out in the middle, at the end or at the beginning, whichever keeps different names different; if
    none does, the names are cut at the end and numbered.

    Parameters
    ----------
    names : iterable of str
        The names.
    most : int
        The largest number of letters of a shortened name.
    """
    seen = {name: visible(name) for name in names}
    half, rest = most // 2, most - most // 2 - 1
    cuts: Sequence[Callable[[str], str]] = (
        lambda name: f"{name[:half]}…{name[-rest:]}",
        lambda name: f"{name[: most - 1]}…",
        lambda name: f"…{name[1 - most :]}",
    )
    for cut in cuts:
        short = {name: text if len(text) <= most else cut(text) for name, text in seen.items()}
        if len(set(short.values())) == len(seen):
            return short
    return _numbered(seen, most)


def _numbered(seen: Mapping[str, str], most: int) -> dict[str, str]:
    """Names of which the first letters are shown and, where they are too long or the same, a number."""
    counts = Counter(seen.values())
    short = {name: text for name, text in seen.items() if len(text) <= most and counts[text] == 1}
    taken, numbers = set(short.values()), count(1)
    for name, text in seen.items():
        while name not in short:
            mark = f"…{next(numbers)}"
            if (cut := text[: max(most - len(mark), 0)] + mark) not in taken:
                short[name] = cut
                taken.add(cut)
    return {name: short[name] for name in seen}


def short_title(text: str, most: int = 60) -> str:
    """A name as the title of a panel: in one visible line of at most so many letters."""
    return short_names([text], most)[text]


def label_ends(axes: Axes, ends: Sequence[tuple[str, float, float, str]]) -> None:
    """Write the names of lines to the right of a panel, beside the ends of the lines and without overlap.

    Parameters
    ----------
    axes : Axes
        The panel; its limits and scales must be final.
    ends : sequence of (text, x, y, colour)
        The name of each line, where it ends (in data coordinates) and its colour.
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
    """Move heights apart: at least `gap`, in the same order, and as near to the given ones as possible (least squares).

    Parameters
    ----------
    heights : sequence of float
        The wanted heights.
    gap : float
        The smallest distance between two of them.
    within : (float, float)
        The range that must contain all of them. If it is too small, they begin at its lower end.
    """
    order = np.argsort(heights, kind="stable")
    # With i gaps subtracted from the i-th height, "at least a gap apart" means "not decreasing": isotonic regression.
    pools: list[tuple[float, int]] = []
    for rank, index in enumerate(order):
        mean, count = heights[index] - rank * gap, 1
        while pools and pools[-1][0] > mean:
            other, size = pools.pop()
            mean, count = (mean * count + other * size) / (count + size), count + size
        pools.append((mean, count))
    # Clipping the solution without bounds gives the solution within them.
    low, high = within[0], within[1] - max(len(heights) - 1, 0) * gap
    flat = [max(low, min(mean, high)) for mean, count in pools for _ in range(count)]
    placed = {int(index): flat[rank] + rank * gap for rank, index in enumerate(order)}
    return [placed[index] for index in range(len(heights))]


def legend_above(figure: Figure, looks: Sequence[Line2D], texts: Sequence[str]) -> None:
    """Put a legend above the panels of a figure with constrained layout, in at most three columns.

    The figure becomes higher by the legend's rows.

    Parameters
    ----------
    figure : Figure
        The figure.
    looks : sequence of Line2D
        One line per name.
    texts : sequence of str
        The names.
    """
    shown = [short_names(texts)[text] for text in texts]
    column = room_for(shown) + 50 / 72 / WIDTH  # the line, and what is free around it
    columns = max(1, min(len(shown), 3, int(1 / column)))
    figure.set_figheight(figure.get_figheight() + _ROW * (-(-len(shown) // columns) - 1))
    options: dict[str, Any] = {"loc": "outside upper left", "ncols": columns, "handlelength": 1.2}
    legend = figure.legend(looks, ["-"] * len(shown), **options)  # matplotlib skips names that begin with an underscore
    for text, name in zip(legend.get_texts(), shown, strict=True):
        text.set_text(name)
