"""Where the panels of a figure stand, in inches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 5.6  # inches; at 72 units an inch, a text of 10 units stays legible on a telephone

GAP = 12.5 / 72  # inches from one label to the next
_EDGE = 0.1  # inches that stay free around a figure
_LEAST = 0.35  # of the width for a panel, whatever the labels; the figure becomes wider for them


def make_room(figure: Figure) -> None:
    """Enlarge a figure by what stands out of it, such as long labels; its panels keep their size in inches.

    A figure whose layout is constrained makes room by itself, and is left as it is.
    """
    if figure.get_layout_engine() is not None:
        return
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    left, below = max(0.0, _EDGE - box.x0), max(0.0, _EDGE - box.y0)
    right, above = max(0.0, box.x1 + _EDGE - width), max(0.0, box.y1 + _EDGE - height)
    if max(left, below, right, above) < 0.01:
        return
    wide, high = width + left + right, height + below + above
    places = [axes.get_position().bounds for axes in figure.axes]
    figure.set_size_inches(wide, high)
    for axes, (x, y, across, up) in zip(figure.axes, places, strict=True):
        place = ((x * width + left) / wide, (y * height + below) / high, across * width / wide, up * height / high)
        axes.set_position(place)


def panels(count: int, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, two to a row, each so many inches high."""
    columns = min(count, 2)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, rows * height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    for axes in grid.flat[count:]:
        axes.remove()
    return figure, list(grid.flat[:count])


def one_panel(labels: int, height: float = 3.6, right: float = 0.76) -> tuple[Figure, Axes]:
    """A figure of one panel that leaves room for so many labels right of it, from `right` of its width on."""
    figure = Figure(figsize=(WIDTH, max(height, labels * GAP / 0.81)))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.13, right=right, top=0.95, bottom=0.14)
    return figure, axes


def two_panels(labels: int, height: float = 4.6, right: float = 0.76) -> tuple[Figure, tuple[Axes, Axes]]:
    """As `one_panel`, with a second panel below the first; so many labels beside each."""
    figure = Figure(figsize=(WIDTH, max(height, labels * GAP / 0.37)))
    above, below = figure.subplots(2, 1)
    figure.subplots_adjust(left=0.13, right=right, top=0.96, bottom=0.11, hspace=0.25)
    return figure, (above, below)


def stacked(
    heights: Sequence[float], left: float = 0.13, right: float = 0.7, above: float = 0.3
) -> tuple[Figure, list[Axes]]:
    """Panels one below the other, each so many inches high, with room for labels left and right of them.

    left, right: where panels begin and end, as fractions of the width. above: inches over each of them.
    """
    right = max(right, left + _LEAST)
    below = 0.5  # inches, for the axis' numbers and name
    between = above + below
    whole = above + sum(heights) + between * (len(heights) - 1) + below
    figure = Figure(figsize=(WIDTH, whole))
    grid, top = [], whole - above
    for height in heights:
        grid.append(figure.add_axes((left, (top - height) / whole, right - left, height / whole)))
        top -= height + between
    return figure, grid
