"""How figures look: one ink that light and dark pages can both set, colours for arms, the density axis, labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from tickets.catalogue import ARMS

INK = "#1f2328"
"""Text, axes and grid; nothing else has this colour, so that a page can put its own in its place."""

WIDTH = 5.6  # inches; at 72 units an inch, a text of 10 units stays legible on a telephone

# Seaborn's colour-blind palette without its pale yellow and pink, which a white page swallows. Seaborn itself is not
# imported: pyplot comes with it, which chooses a backend for the whole process.
_PALETTE = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#56b4e9", "#ca9161", "#949494")
_MARKERS = "osD^vPX*"

_STYLE: Mapping[str, Any] = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the layout is the same everywhere
    "font.size": 10,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "grid.linewidth": 0.6,
    "image.interpolation": "none",
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "pdf.fonttype": 42,  # TrueType; journals refuse Type 3
    "ps.fonttype": 42,
    "savefig.facecolor": "none",
    "text.color": INK,
    "text.parse_math": False,  # a name is no formula, whatever dollar signs it has
    "xtick.color": INK,
    "ytick.color": INK,
}

_GAP = 12.5 / 72  # inches from one label to the next
_COARSE, _FINE = (1, 2, 5), range(1, 10)

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Look:
    """A line's colour and the marker that tells it from others without colour."""

    colour: str
    marker: str


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's defaults replaced by this module's, and put back."""
    # The backend is neither read nor set: to read it is to choose one, for the whole process.
    style: dict[Any, Any] = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")}
    style.update(_STYLE)
    with mpl.rc_context(style):
        yield


def drawing(draw: Callable[P, R]) -> Callable[P, R]:
    """Let a function draw in this module's style, whatever the caller's; the caller's stays as it is."""

    @wraps(draw)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        with styled():
            return draw(*arguments, **options)

    return call


def look_of(arm: str) -> Look:
    """The look of an arm, the same in every figure and run."""
    return nth_look(list(ARMS).index(arm) if arm in ARMS else len(ARMS) + sum(map(ord, arm)))


def nth_look(index: int) -> Look:
    """The look of the n-th of things that have no look of their own."""
    return Look(_PALETTE[index % len(_PALETTE)], _MARKERS[index % len(_MARKERS)])


def look_of_tensor(index: int) -> Look:
    """The look of the n-th prunable tensor, the same in every figure; none has the ticket's colour."""
    return nth_look(1 + index % (len(_PALETTE) - 1))


def panels(count: int, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, two to a row, each so many inches high."""
    columns = min(count, 2)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, rows * height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    for axes in grid.flat[count:]:
        axes.remove()
    return figure, list(grid.flat[:count])


def one_panel(height: float = 3.6, right: float = 0.76) -> tuple[Figure, Axes]:
    """A figure of one panel that leaves room for labels right of it, from `right` of its width on."""
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.13, right=right, top=0.95, bottom=0.14)
    return figure, axes


def two_panels(height: float = 4.6, right: float = 0.76) -> tuple[Figure, tuple[Axes, Axes]]:
    """As `one_panel`, with a second panel below the first."""
    figure = Figure(figsize=(WIDTH, height))
    above, below = figure.subplots(2, 1)
    figure.subplots_adjust(left=0.13, right=right, top=0.96, bottom=0.11, hspace=0.25)
    return figure, (above, below)


def stacked(
    heights: Sequence[float], left: float = 0.13, right: float = 0.7, above: float = 0.3
) -> tuple[Figure, list[Axes]]:
    """Panels one below the other, each so many inches high, with room for labels left and right of them.

    left, right: where panels begin and end, as fractions of the width. above: inches over each of them.
    """
    below = 0.5  # inches, for the axis' numbers and name
    between = above + below
    whole = above + sum(heights) + between * (len(heights) - 1) + below
    figure = Figure(figsize=(WIDTH, whole))
    grid, top = [], whole - above
    for height in heights:
        grid.append(figure.add_axes((left, (top - height) / whole, right - left, height / whole)))
        top -= height + between
    return figure, grid


def room_for(texts: Iterable[str], size: float = 10) -> float:
    """The share of a figure's width that the longest of these texts takes, at so many points."""
    font = FontProperties(family="DejaVu Sans")
    drawn = sorted({text for text in texts if text.strip()})
    widths = [TextPath((0, 0), text, size=size, prop=font).get_extents().width for text in drawn]
    return float(max(widths, default=0.0)) / 72 / WIDTH


def shortened(text: str, most: int = 36) -> str:
    """Text of at most so many letters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def density_axis(axes: Axes, densities: Sequence[float]) -> None:
    """Density from left to right, falling, on a log scale."""
    # On a log axis there is no 0: a network without a weight left is not shown.
    there = [density for density in densities if density > 0]
    high, low = max(there), min(there)
    axes.set_xscale("log")
    axes.set_xlim(high * 1.06, low / 1.06 if low < high else low / 2)
    label_fractions(axes.xaxis, low / 1.06, high * 1.06)
    axes.set_xlabel("density (log scale, falling)")


def label_fractions(axis: Axis, low: float, high: float) -> None:
    """Ticks at round numbers on a log axis that shows `low` to `high`, at least three if they can be had."""
    for steps in (_COARSE, _FINE):
        ticks = [round(step * 10.0**power, 9) for power in range(-6, 1) for step in steps]
        shown = [tick for tick in ticks if low <= tick <= high]
        if len(shown) >= 3:
            break
    axis.set_major_locator(FixedLocator(shown))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def plain_log(axis: Axis, steps: Sequence[float] = (1.0,)) -> None:
    """Ticks of a log axis at these multiples of powers of ten, as plain numbers."""
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


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
    gap = _GAP / (figure.get_figheight() * axes.get_position().height)
    heights = spread([float(point[1]) for point in points], gap)
    for (text, _, _, colour), point, height in zip(ends, points, heights, strict=True):
        leader: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False, "color": colour, "linewidth": 1}
        axes.plot([point[0] + 0.015, 1.055], [point[1], height], **leader)
        axes.text(1.07, height, text, transform=axes.transAxes, va="center", fontsize=10)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Heights at least `gap` apart, in the same order, and as near to those given as can be (least squares)."""
    order = np.argsort(heights, kind="stable")
    # With i gaps taken off the i-th height, "at least a gap apart" is "not falling": pool adjacent violators.
    pools: list[tuple[float, int]] = []
    for rank, index in enumerate(order):
        mean, count = heights[index] - rank * gap, 1
        while pools and pools[-1][0] > mean:
            other, size = pools.pop()
            mean, count = (mean * count + other * size) / (count + size), count + size
        pools.append((mean, count))
    flat = [mean for mean, count in pools for _ in range(count)]
    placed = {int(index): flat[rank] + rank * gap for rank, index in enumerate(order)}
    return [placed[index] for index in range(len(heights))]
