"""Tables of probes, as the figures of the report draw them: means over replicates, against density or by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter
from scipy import special

from tickets.plurals import counted
from tickets.store import Saved

from ..pairs import TICKET
from ..summary import mean_density
from .annotation import legend_above
from .look import drawing, looks_of
from .panels import panels
from .ticks import density_axis

INTERVALS = "Line: mean over replicates, draws averaged first. Band: 95 % t-interval of the mean."


@dataclass(frozen=True)
class Quantity:
    """A column of a probe's table as a panel shows it.

    Parameters
    ----------
    column : str
        The column.
    title : str
        Of its panel.
    unit : str
        The label of the vertical axis.
    share : bool
        Whether the values are between 0 and 1.
    log : bool
        Whether the axis is on a log scale, if all values are above 0.
    """

    column: str
    title: str
    unit: str
    share: bool = False
    log: bool = False


def read_probe(saved: Saved, run: str, table: str) -> pd.DataFrame:
    """The rows of one run of a probe's table; an empty table if the run has none."""
    if run not in saved.probes.get(table, ()):
        return pd.DataFrame()
    found = saved.probe(table)
    return found[found["run"] == run].reset_index(drop=True)


def probe_means(
    table: pd.DataFrame, columns: Sequence[str], by: Sequence[str] = (), confidence: float = 0.95
) -> pd.DataFrame:
    """Means of columns over replicates and their t-intervals: a row for each column, round and arm.

    Draws are averaged within each replicate first. Values that are NaN (of networks that diverged, or that the probe
    cannot measure) are left out.

    Parameters
    ----------
    table : DataFrame
        The rows of one run, at most one of each network and of each value of `by`.
    columns : sequence of str
        The columns.
    by : sequence of str
        Further keys, such as "step".
    confidence : float
        In (0, 1).

    Returns
    -------
    DataFrame
        Columns quantity, round, density, arm, those of `by`, n (replicates with a value), mean, low and high; low and
        high are NaN for n < 2. Rows without a value are left out.
    """
    keys = ["round", "arm", *by]
    parts = []
    for column in columns:
        each = table.groupby([*keys, "replicate"], sort=False)[["density", column]].mean().reset_index()
        grouped = each.groupby(keys, sort=False)
        mean, n = grouped[column].mean(), grouped[column].count()
        half = special.stdtrit(np.maximum(n - 1, 1), (1 + confidence) / 2) * grouped[column].std() / np.sqrt(n.clip(1))
        numbers = {"n": n, "mean": mean, "low": mean - half, "high": mean + half}
        part = pd.DataFrame({"density": mean_density(grouped["density"]), **numbers}).reset_index()
        part.insert(0, "quantity", column)
        parts.append(part[part["n"] > 0])
    data = pd.concat(parts, ignore_index=True)
    order = ["quantity", "round", "density", "arm", *by, "n", "mean", "low", "high"]
    return data.sort_values("round", kind="stable", ignore_index=True)[order]


@drawing
def draw_probe_means(data: pd.DataFrame, quantities: Sequence[Quantity]) -> Figure:
    """Draw the table of `probe_means` against density: a panel for each quantity, a line for each arm."""
    shown = [quantity for quantity in quantities if (data["quantity"] == quantity.column).any()]
    figure, grid = panels(len(shown), 2.3)
    for axes, quantity in zip(grid, shown, strict=True):
        rows = data[data["quantity"] == quantity.column]
        density_axis(axes, list(data["density"]))
        _lines(axes, rows, "density", looks_of_data(data), _floor(rows, quantity))
        _scale(axes, rows, quantity)
        axes.set_title(quantity.title)
        axes.set_ylabel(quantity.unit)
    _legend(figure, data)
    return figure


@drawing
def draw_probe_steps(data: pd.DataFrame, quantity: Quantity) -> Figure:
    """Draw the table of `probe_means` by step: a panel for each round, all with the same axes, a line for each arm."""
    numbers = list(data["round"].unique())
    figure, grid = panels(len(numbers), 2.1, sharex=True, sharey=True)
    for axes, number in zip(grid, numbers, strict=True):
        rows = data[data["round"] == number]
        axes.set_title(f"density {rows['density'].iloc[0]:.4g}")
        _lines(axes, rows, "step", looks_of_data(data), _floor(data, quantity))
    _scale(grid[0], data, quantity)
    _legend(figure, data)
    figure.supxlabel("step", fontsize=10)
    figure.supylabel(quantity.unit, fontsize=10)
    return figure


def describe_probe_means(data: pd.DataFrame, quantities: Sequence[Quantity], form: str = ".3g") -> str:
    """The text alternative: each arm's value at the first and at the last density, for each quantity."""
    n = sorted({int(n) for n in data["n"]})
    counts = f"{n[0]}" if len(n) == 1 else f"{n[0]} to {n[-1]}"
    parts = []
    for quantity in quantities:
        rows = data[data["quantity"] == quantity.column]
        arms = []
        for arm, own in rows.groupby("arm", sort=False):
            ends = own.iloc[[0, -1]] if len(own) > 1 else own
            values = (f"{row['mean']:{form}} at {row['density']:.4g}" for row in ends.to_dict("records"))
            arms.append(f"{arm} {', '.join(values)}")
        if arms:
            parts.append(f"{quantity.title} ({quantity.unit}): {'; '.join(arms)}")
    return f"Against density, mean over n = {counts} replicates. {'. '.join(parts)}."


def n_text(data: pd.DataFrame) -> str:
    """How many replicates the means are of, for captions."""
    n = sorted({int(n) for n in data["n"]})
    return f"n = {counted(n[-1], 'replicate')}" if len(n) == 1 else f"n = {n[0]} to {n[-1]} replicates"


def looks_of_data(data: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """{arm: (colour, marker)}."""
    return {arm: (look.colour, look.marker) for arm, look in looks_of(data["arm"]).items()}


def _lines(axes: Axes, rows: pd.DataFrame, x: str, looks: dict[str, tuple[str, str]], floor: float | None) -> None:
    for arm in sorted(rows["arm"].unique(), key=lambda arm: arm == TICKET):  # the ticket over the others
        own = rows[rows["arm"] == arm].sort_values(x)
        colour, marker = looks[arm]
        low = own["low"] if floor is None else own["low"].clip(lower=floor)  # a log axis has no 0
        axes.fill_between(own[x], low, own["high"], color=colour, alpha=0.16, linewidth=0)
        axes.plot(own[x], own["mean"], color=colour, marker=marker)


def _floor(rows: pd.DataFrame, quantity: Quantity) -> float | None:
    """A value below all that a log axis shows of these rows; None for a linear axis."""
    low = float(rows["mean"].min())
    return low / 10 if quantity.log and low > 0 else None


def _scale(axes: Axes, rows: pd.DataFrame, quantity: Quantity) -> None:
    """Set the vertical axis for all rows that it shows: by the means, since a band may be very wide."""
    low, high = float(rows["mean"].min()), float(rows["mean"].max())
    if _floor(rows, quantity) is not None:
        axes.set_yscale("log")
        axes.set_ylim(low / 2, high * 2)
        # The default writes formulas, which are shown as they are written here (text.parse_math).
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif quantity.share:
        top = min(1.0, 1.15 * high or 1.0)
        axes.set_ylim(-0.02 * top, 1.02 * top)


def _legend(figure: Figure, data: pd.DataFrame) -> None:
    looks = looks_of_data(data)
    arms = sorted(looks, key=list(looks).index)
    lines = [Line2D([], [], color=looks[arm][0], marker=looks[arm][1]) for arm in arms]
    legend_above(figure, lines, arms)
