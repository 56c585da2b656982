"""What each layer does to the distances between inputs before any training, by start."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...why_random import Study, geometry
from ..labels import room_for, short_names
from ..layout import stacked
from ..look import drawing
from ..ticks import plain_log
from .kinds import look_of_kind

_ROW = 0.2  # inches
_SIZE = 9  # points


def kept_distances(study: Study) -> pd.DataFrame:
    """`why_random.geometry`, with each run's setting, label and kind in front: a row per run and hidden layer."""
    named = study.starts[["setting", "label", "kind", "run"]]
    return named.merge(geometry(study.units), on="run")


@drawing
def draw_kept_distances(data: pd.DataFrame) -> Figure:
    """What `kept_distances` made, drawn: 5 % quantile to 95 % quantile of the ratio after / before, dot: median."""
    settings = list(data["setting"].unique())
    counts = [int((data["setting"] == setting).sum()) for setting in settings]
    left = room_for(_names(data), _SIZE) + 0.025
    figure, grid = stacked([_ROW * (count + 1) for count in counts], left, right=0.88, above=0.5)
    positive = data.loc[data["distance_low"] > 0, ["distance_low", "distance_high"]]
    edges = (0.5, 2.0) if positive.empty else (float(positive.min().min()) / 1.6, float(positive.max().max()) * 1.3)
    for axes, setting in zip(grid, settings, strict=True):
        _draw(axes, data[data["setting"] == setting], edges)
        axes.set_title(setting)
        axes.set_xlabel("distance after / before (log scale)")
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, edges: tuple[float, float]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(*edges)
    plain_log(axes.xaxis)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_yticks(range(len(rows)), _names(rows), fontsize=_SIZE)
    axes.text(1.02, 1.0, "effective\nrank", transform=axes.transAxes, va="bottom", fontsize=_SIZE, linespacing=0.95)
    for place, row in enumerate(rows.to_dict("records")):
        look = look_of_kind(row["kind"], int(row["place"]) - 1)
        height = 1 - (place + 0.6) / (len(rows) + 0.2)
        axes.text(1.02, height, f"{row['effective_rank']:.3g}", transform=axes.transAxes, va="center", fontsize=_SIZE)
        if row["distance_high"] > 0:
            low = max(row["distance_low"], edges[0])  # a bar that reaches 0 ends at the edge
            axes.plot(
                [low, row["distance_high"]],
                [place, place],
                color=look.colour,
                linewidth=3.5,
                alpha=0.45,
                solid_capstyle="butt",
            )
            if row["distance_median"] > edges[0]:
                axes.plot([row["distance_median"]], [place], color=look.colour, marker=look.marker, linestyle="")
        else:
            why = "0: all fall together" if row["distance_high"] == 0 else "nothing to keep apart"
            axes.text(edges[0] * 1.1, place, why, va="center", fontsize=_SIZE)


def _names(rows: pd.DataFrame) -> list[str]:
    short = short_names(rows["label"])
    layers = zip(rows["label"], rows["place"], strict=True)
    return [f"{short[label]}  layer {place}" if place == 1 else f"layer {place}" for label, place in layers]


def tell_kept_distances(data: pd.DataFrame) -> str:
    """What the figure shows, in words."""
    parts = []
    for setting, here in data.groupby("setting", sort=False):
        told = []
        for row in here.to_dict("records"):
            kept = f"{row['distance_low']:.3g} to {row['distance_high']:.3g}"
            told.append(f"{row['label']} layer {row['place']} {kept}, effective rank {row['effective_rank']:.3g}")
        parts.append(f"{setting}: {'; '.join(told)}")
    return (
        "Distances between pairs of inputs after each hidden layer over those before it, 5 % to 95 % quantile, and "
        f"effective rank of its outputs, before training, mean over replicates. {'. '.join(parts)}."
    ).replace("nan to nan", "no distance")
