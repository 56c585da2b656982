"""Learning curves at chosen densities, one line an arm."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import special

from ..summary import mean_density
from .labels import legend_above
from .layout import panels
from .look import drawing, looks_of
from .words import value_text

COLUMN = "test_accuracy"


def chosen_rounds(rounds: pd.DataFrame, count: int = 4) -> list[int]:
    """At most so many rounds of a run, evenly spread over those that the ticket was trained in, ends included."""
    there = np.sort(rounds.loc[rounds["arm"] == "ticket", "round"].unique())
    places = np.linspace(0, len(there) - 1, min(count, len(there))).round().astype(int)
    return [int(number) for number in there[places]]


def learning_curves(
    curves: pd.DataFrame, rounds: Sequence[int], column: str = COLUMN, confidence: float = 0.95
) -> pd.DataFrame:
    """Mean of a column of `curves` over replicates: a row per chosen round, arm and evaluated step of one run.

    Columns: round, density, arm, step, n, mean, low, high. Draws are averaged within each replicate first; what has
    no value any more (diverged) is left out. The interval is that of `by_density`.
    """
    chosen = curves[curves["round"].isin(rounds)]
    keys = ["round", "arm", "step"]
    each = chosen.groupby([*keys, "replicate"], sort=False)[["density", column]].mean().reset_index()
    grouped = each.groupby(keys, sort=False)
    mean, n = grouped[column].mean(), grouped[column].count()
    half = (
        special.stdtrit(np.maximum(n - 1, 1), (1 + confidence) / 2) * grouped[column].std() / np.sqrt(n.clip(lower=1))
    )
    table = pd.DataFrame(
        {"density": mean_density(grouped["density"]), "n": n, "mean": mean, "low": mean - half, "high": mean + half}
    ).reset_index()
    order = table.sort_values("round", kind="stable", ignore_index=True)
    return order[["round", "density", "arm", "step", "n", "mean", "low", "high"]]


@drawing
def draw_learning_curves(data: pd.DataFrame, column: str = COLUMN) -> Figure:
    """What `learning_curves` made, drawn: a panel a density, all on the same axes."""
    numbers = list(data["round"].unique())
    figure, grid = panels(len(numbers), 2.1, sharex=True, sharey=True)
    scale = 100 if column.endswith("accuracy") else 1
    looks = looks_of(data["arm"])
    for axes, number in zip(grid, numbers, strict=True):
        here = data[data["round"] == number]
        axes.set_title(f"density {here['density'].iloc[0]:.4g}")
        for arm in sorted(here["arm"].unique(), key=lambda arm: arm == "ticket"):
            rows = here[here["arm"] == arm]
            colour = looks[arm].colour
            low, high = scale * rows["low"], scale * rows["high"]
            axes.fill_between(rows["step"], low, high, color=colour, alpha=0.16, linewidth=0)
            axes.plot(rows["step"], scale * rows["mean"], color=colour)
    low, high = _limits(scale * data.loc[data["step"] >= data["step"].max() / 10, ["mean", "high"]])
    most = 100.0 if scale == 100 else 1.0 if column.endswith("R2") else math.inf
    grid[0].set_ylim(max(low, 0) if scale == 100 else low, min(high, most))
    arms = list(data["arm"].unique())
    lines = [Line2D([], [], color=looks[arm].colour, linewidth=2.5) for arm in arms]
    lost = {arm for arm, rows in data.groupby("arm") if rows["mean"].isna().all()}
    texts = [f"{arm} (diverged)" if arm in lost else arm for arm in arms]
    legend_above(figure, lines, texts)
    figure.supxlabel("step", fontsize=10)
    figure.supylabel(column.replace("_", " ") + (", %" if scale == 100 else ""), fontsize=10)
    return figure


def _limits(late: pd.DataFrame) -> tuple[float, float]:
    """Limits that fit the means of `late`, and their intervals as far as these do not dwarf them."""
    if late["mean"].isna().all():
        return 0.0, 1.0
    low, high = float(late["mean"].min()), float(late["mean"].max())
    span = high - low or 1.0
    top = float(late["high"].fillna(late["mean"]).max())
    return low - 0.05 * span, min(top, high + span / 4) + 0.05 * span


def tell_learning_curves(data: pd.DataFrame, column: str = COLUMN) -> str:
    """What the figure shows, in words."""
    name = column.replace("_", " ")
    parts = []
    for _, here in data.groupby("round", sort=True):
        last = here[here["step"] == here.groupby("arm")["step"].transform("max")]
        ends = ", ".join(f"{row['arm']} {value_text(row['mean'], column)}" for row in last.to_dict("records"))
        parts.append(f"at density {here['density'].iloc[0]:.4g}: {ends}")
    steps = f"{data['step'].max():,.0f}"
    return f"{name.capitalize()} against training step, mean over replicates; after {steps} steps {'; '.join(parts)}."
