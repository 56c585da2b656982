"""The figure of how far the mask that pruning would give moves in training, from the table of `early_bird`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tickets.plurals import counted

from ...summary import mean_density
from ...text import listed
from ..annotation import legend_above
from ..figure import Drawn, FigureRecord, NotMeasured
from ..look import drawing, nth_look
from ..panels import WIDTH
from ..run_data import RunData
from ..ticks import within
from .between_networks import DASHES, GREY
from .learning_curves import chosen_rounds


def mask_distances(table: pd.DataFrame) -> pd.DataFrame:
    """Mean distance of successive masks over replicates: a row per round and evaluated step.

    Parameters
    ----------
    table : DataFrame
        The rows of one run of the probe `early_bird`.

    Returns
    -------
    DataFrame
        Columns round, density, step, n (replicates with a distance), mean, least, most (of the distance), drawn (share
        of the replicates whose ticket is drawn by then), threshold and by_chance.
    """
    grouped = table.groupby(["round", "step"])
    distance = grouped["distance"]
    columns = {
        "density": mean_density(grouped["density"]),
        "n": distance.count(),
        "mean": distance.mean(),
        "least": distance.min(),
        "most": distance.max(),
        "drawn": grouped["drawn"].mean(),
        "threshold": grouped["threshold"].first(),
        "by_chance": grouped["by_chance"].mean(),
    }
    names = ["round", "density", "step", "n", "mean", "least", "most", "drawn", "threshold", "by_chance"]
    return pd.DataFrame(columns).reset_index()[names]


@drawing
def draw_mask_distances(data: pd.DataFrame) -> Figure:
    """Draw the table of `mask_distances`: a line per round (at most four), the threshold dashed."""
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    axes = figure.subplots()
    looks, texts = [], []
    for index, number in enumerate(_rounds(data)):
        rows, look = data[(data["round"] == number) & data["mean"].notna()], nth_look(index)
        axes.fill_between(rows["step"], rows["least"], rows["most"], color=look.colour, alpha=0.16, linewidth=0)
        axes.plot(rows["step"], rows["mean"], color=look.colour, marker=look.marker)
        step = _drawn_by_all(data, number)
        if step is not None:
            axes.axvline(step, color=look.colour, linestyle=":", linewidth=1)
        looks.append(Line2D([], [], color=look.colour, marker=look.marker))
        texts.append(f"density {data.loc[data['round'] == number, 'density'].iloc[0]:.4g}")
    levels: Sequence[tuple[float, str, Any]] = (
        (data["threshold"].iloc[0], "threshold", DASHES),
        (data["by_chance"].mean(), "masks at random", "-."),
    )
    for height, text, style in levels:
        if not math.isnan(height):
            axes.axhline(height, color=GREY, linestyle=style, linewidth=1)
            looks.append(Line2D([], [], color=GREY, linestyle=style, linewidth=1))
            texts.append(text)
    axes.set_xlabel("training step")
    axes.set_ylabel("distance to the mask before")
    axes.set_ylim(bottom=0)
    within(axes, 0, 1)
    legend_above(figure, looks, texts)
    return figure


def describe_mask_distances(data: pd.DataFrame) -> str:
    """The text alternative of the figure."""
    parts = []
    for number in _rounds(data):
        rows = data[(data["round"] == number) & data["mean"].notna()]
        density, share = rows["density"].iloc[0], data.loc[data["round"] == number, "drawn"].iloc[-1]
        step = _drawn_by_all(data, number)
        drawn = f"drawn by step {step:,} in all" if step is not None else f"drawn in {100 * share:.0f} %"
        chosen = rows.iloc[[0, -1]] if len(rows) > 1 else rows
        ends = [f"{row['mean']:.3f} at step {row['step']:,}" for row in chosen.to_dict("records")]
        parts.append(f"density {density:.4g}: {' to '.join(ends)}, {drawn}")
    return (
        "Hamming distance of the mask that pruning would give from the one at the evaluated step before, mean over "
        f"{counted(int(data['n'].max()), 'replicate')}; threshold {data['threshold'].iloc[0]:g}, masks at random "
        f"{data['by_chance'].mean():.3f}. {'; '.join(parts)}."
    )


def _rounds(data: pd.DataFrame) -> list[int]:
    there = data[data["mean"].notna()]
    return chosen_rounds(there.assign(arm="ticket"))


def _drawn_by_all(data: pd.DataFrame, number: int) -> int | None:
    """The first step at which the tickets of all replicates are drawn."""
    steps = data.loc[(data["round"] == number) & (data["drawn"] == 1), "step"]
    return None if steps.empty else int(steps.iloc[0])


def _make(run: RunData) -> Drawn | str:
    table = run.probe("early_bird", ["step", "distance", "drawn", "threshold", "by_chance"])
    if table is None:
        return NotMeasured("the probe 'early_bird' was not measured")
    data = mask_distances(table)
    if data["mean"].isna().all():
        return "it takes two evaluated steps of a ticket that has not diverged"
    undrawn = [number for number in _rounds(data) if _drawn_by_all(data, number) is None]
    densities = [f"{data.loc[data['round'] == number, 'density'].iloc[0]:.4g}" for number in undrawn]
    lacking = f" Not in all replicates at density {listed(densities)}." if undrawn else ""
    return Drawn(
        figure=draw_mask_distances(data),
        data=data,
        description=describe_mask_distances(data),
        caption=(
            "Fraction of the round's weights that are in one of two masks alone: the mask that pruning would give, and "
            "that of the evaluated step before. A ticket is drawn once the last distances (5 by default) are all below "
            f"the threshold (You et al. 2020); dotted: drawn in every replicate.{lacking} Line: mean over replicates; "
            "band: lowest to highest."
        ),
        code=(
            'data = report.mask_distances(report.read_probe(saved, run, "early_bird"))\n'
            "figure = report.draw_mask_distances(data)"
        ),
    )


FIGURE = FigureRecord("early_bird", "Early-bird tickets: when the mask stops changing", _make)
