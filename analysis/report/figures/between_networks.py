"""A number of pairs of networks against density: a panel per kind of pair, a line per arm with its range."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...summary import mean_density
from ..annotation import label_ends, short_names
from ..look import drawing, looks_of
from ..panels import GAP, stacked
from ..ticks import density_axis, within

DASHES = (0, (4, 3))
GREY = "#808080"
_DASHED: Mapping[str, Any] = {"color": GREY, "linestyle": DASHES, "linewidth": 1}

RANGES = "Line: mean over pairs. Band: lowest to highest; pairs share networks, so that it is no interval."
"""What lines and bands are, for captions."""


@dataclass(frozen=True)
class PairsLook:
    """How a number of pairs is drawn.

    Parameters
    ----------
    name : str
        The name of the vertical axis, with the unit.
    titles : mapping
        {kind of pair: the title of its panel}, in order; other kinds are not drawn.
    factor : float
        Values are multiplied by it.
    high : float
        The largest possible value, times `factor`; the smallest one is 0.
    level : (float, str), optional
        A dashed line for all arms, times `factor`, and its name.
    chance : bool
        Whether each arm has a dashed line, the column `chance`.
    """

    name: str
    titles: Mapping[str, str]
    factor: float = 1.0
    high: float = float("inf")
    level: tuple[float, str] | None = None
    chance: bool = False


def over_pairs(table: pd.DataFrame, column: str, others: Sequence[str] = ()) -> pd.DataFrame:
    """Mean and range of a column over the pairs of each kind, arm and round.

    Parameters
    ----------
    table : DataFrame
        The rows of one run, of a probe that compares networks.
    column : str
        The column.
    others : sequence of str
        Further columns, whose means are added.

    Returns
    -------
    DataFrame
        Columns between, arm, round, density (mean), pairs (with a value), mean, least and most, then the others. Pairs
        without a value are left out.
    """
    grouped = table.groupby(["between", "arm", "round"], sort=False)
    columns = {
        "density": mean_density(grouped["density"]),
        "pairs": grouped[column].count(),
        "mean": grouped[column].mean(),
        "least": grouped[column].min(),
        "most": grouped[column].max(),
        **{name: grouped[name].mean() for name in others},
    }
    return pd.DataFrame(columns).reset_index().sort_values("round", kind="stable", ignore_index=True)


@drawing
def draw_over_pairs(data: pd.DataFrame, look: PairsLook) -> Figure:
    """Draw a table of `over_pairs`."""
    shown = data[data["mean"].notna()]
    kinds = [kind for kind in look.titles if kind in set(shown["between"])]
    arms = looks_of(data["arm"])
    names = short_names(data["arm"])
    extra = int(look.level is not None) + int(look.chance)
    figure, panels = stacked(
        [max(1.5, (shown[shown["between"] == kind]["arm"].nunique() + extra) * GAP) for kind in kinds], right=0.76
    )
    densities = sorted(shown["density"].unique())
    for axes, kind in zip(panels, kinds, strict=True):
        axes.set_title(look.titles[kind])
        density_axis(axes, densities)
        axes.set_ylabel(look.name)
        if axes is not panels[-1]:
            axes.set_xlabel("")
        ends, by_chance = [], []
        for arm, line in arms.items():
            rows = shown[(shown["between"] == kind) & (shown["arm"] == arm)]
            if rows.empty:
                continue
            low, mean, high = (look.factor * rows[name] for name in ("least", "mean", "most"))
            axes.fill_between(rows["density"], low, high, color=line.colour, alpha=0.16, linewidth=0)
            axes.plot(rows["density"], mean, color=line.colour, marker=line.marker, clip_on=False)
            ends.append((names[arm], float(rows["density"].iloc[-1]), float(mean.iloc[-1]), line.colour))
            if look.chance:
                axes.plot(rows["density"], look.factor * rows["chance"], zorder=4, **_DASHED)  # over all lines
                by_chance.append(look.factor * float(rows["chance"].iloc[-1]))
        _limits(axes, look, ends)
        if look.level is not None:
            height = look.factor * look.level[0]
            axes.axhline(height, **_DASHED)
            ends.append((look.level[1], axes.get_xlim()[1], height, GREY))
        if by_chance:
            ends.append(("by chance", densities[0], by_chance[-1], GREY))
        label_ends(axes, ends)
    return figure


def courses(data: pd.DataFrame, look: PairsLook, form: str) -> str:
    """The numbers of a table of `over_pairs` in words: for each kind and arm at the first and the last density.

    Parameters
    ----------
    data : DataFrame
        The table.
    look : PairsLook
        How it is drawn.
    form : str
        Format specification of a value times `factor`.
    """
    parts = []
    for kind, title in look.titles.items():
        for arm, rows in data[data["between"] == kind].groupby("arm", sort=False):
            there = rows[rows["mean"].notna()]
            chosen = there.iloc[[0, -1]] if len(there) > 1 else there
            values = [_text(row, look, form) for row in chosen.to_dict("records")]
            parts.append(f"{arm}, {title}: {', '.join(values) or 'no value, a network diverged'}")
    return "; ".join(parts)


def pairs_text(data: pd.DataFrame) -> str:
    """How many pairs a mean is over: "3 pairs", "1 to 6 pairs"."""
    counts = sorted({int(count) for count in data["pairs"] if count > 0}) or [0]
    most = counts[-1]
    return f"{'' if counts[0] == most else f'{counts[0]} to '}{most} pair{'' if most == 1 else 's'}"


def range_text(data: pd.DataFrame) -> str:
    """The densities of a table, as in "density 1 to 0.04"."""
    low, high = data["density"].min(), data["density"].max()
    return f"density {high:.4g}" + ("" if low == high else f" to {low:.4g}")


def _text(row: Mapping[Any, Any], look: PairsLook, form: str) -> str:
    value = f"{look.factor * row['mean']:{form}}"
    chance = f" ({look.factor * row['chance']:{form}} by chance)" if look.chance else ""
    return f"{value}{chance} at {row['density']:.4g}"


def _limits(axes: Axes, look: PairsLook, ends: Iterable[tuple[str, float, float, str]]) -> None:
    """From 0 to the largest value, or to the level where that is higher."""
    axes.autoscale_view()
    top = axes.get_ylim()[1]
    if look.level is not None:
        top = max(top, 1.25 * look.factor * look.level[0])
    axes.set_ylim(0, top if np.isfinite(top) and top > 0 else 1)
    within(axes, 0, look.high)
