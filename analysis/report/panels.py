"""Figures with panels at given places, in inches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 5.6  # inches; text of 10 points then stays legible on a telephone

GAP = 12.5 / 72  # inches between two labels
_EDGE = 0.1  # inches of margin around a figure
_LEAST = 0.35  # of the width, for a panel; for longer labels the figure becomes wider


def make_room(figure: Figure) -> None:
    """Enlarge a figure in place, so that it contains all of its labels; its panels keep their size in inches.

    A figure with constrained layout is unchanged: it makes room by itself.
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
    """A figure of several panels, two per row.

    Parameters
    ----------
    count : int
        Number of panels.
    height : float
        Of each panel, in inches.
    **options
        Passed to `Figure.subplots`.

    Returns
    -------
    figure : Figure
    axes : list of Axes
    """
    columns = min(count, 2)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, rows * height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    for axes in grid.flat[count:]:
        axes.remove()
    return figure, list(grid.flat[:count])


def one_panel(labels: int, height: float = 3.6, right: float = 0.76) -> tuple[Figure, Axes]:
    """A figure of one panel, with room for labels to its right.

    Parameters
    ----------
    labels : int
        Number of labels.
    height : float
        Of the figure, in inches; at least.
    right : float
        The right edge of the panel, as a fraction of the figure's width.
    """
    figure = Figure(figsize=(WIDTH, max(height, labels * GAP / 0.81)))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.13, right=right, top=0.95, bottom=0.14)
    return figure, axes


def two_panels(labels: int, height: float = 4.6, right: float = 0.76) -> tuple[Figure, tuple[Axes, Axes]]:
    """As `one_panel`, with a second panel below the first and `labels` labels beside each."""
    figure = Figure(figsize=(WIDTH, max(height, labels * GAP / 0.37)))
    above, below = figure.subplots(2, 1)
    figure.subplots_adjust(left=0.13, right=right, top=0.96, bottom=0.11, hspace=0.25)
    return figure, (above, below)


def stacked(
    heights: Sequence[float], left: float = 0.13, right: float = 0.7, above: float = 0.3
) -> tuple[Figure, list[Axes]]:
    """A figure of panels one below the other, with room for labels to their left and right.

    Parameters
    ----------
    heights : sequence of float
        Of the panels, in inches.
    left, right : float
        The edges of the panels, as fractions of the figure's width.
    above : float
        Space above each panel, in inches.
    """
    right = max(right, left + _LEAST)
    below = 0.5  # inches, for the numbers and the name of the axis
    between = above + below
    whole = above + sum(heights) + between * (len(heights) - 1) + below
    figure = Figure(figsize=(WIDTH, whole))
    grid, top = [], whole - above
    for height in heights:
        grid.append(figure.add_axes((left, (top - height) / whole, right - left, height / whole)))
        top -= height + between
    return figure, grid
