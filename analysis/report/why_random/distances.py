"""The figure of how each layer changes the distances between inputs before any training, by start."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...why_random import Study, geometry
from ..annotation import room_for, short_names, short_title
from ..figure import Drawn, FigureRecord
from ..look import drawing
from ..panels import stacked
from ..ticks import plain_log
from .kinds import look_of_kind

_ROW = 0.2  # inches
_SIZE = 9  # points


def layer_distances(study: Study) -> pd.DataFrame:
    """The table of `why_random.geometry`, with each run's setting, label and kind: a row per run and hidden layer."""
    named = study.starts[["setting", "label", "kind", "run"]]
    return named.merge(geometry(study.units), on="run")


@drawing
def draw_layer_distances(data: pd.DataFrame) -> Figure:
    """Draw the table of `layer_distances`: bars from the 5 % to the 95 % quantile of after / before, marks: median."""
    settings = list(data["setting"].unique())
    counts = [int((data["setting"] == setting).sum()) for setting in settings]
    left = room_for(_names(data), _SIZE) + 0.025
    figure, grid = stacked([_ROW * (count + 1) for count in counts], left, right=0.88, above=0.5)
    positive = data.loc[data["distance_low"] > 0, ["distance_low", "distance_high"]]
    edges = (0.5, 2.0) if positive.empty else (float(positive.min().min()) / 1.6, float(positive.max().max()) * 1.3)
    for axes, setting in zip(grid, settings, strict=True):
        _draw(axes, data[data["setting"] == setting], edges)
        axes.set_title(short_title(setting))
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
            low = max(row["distance_low"], edges[0])  # a bar down to 0 ends at the edge of the panel
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
            why = "0: all outputs are equal" if row["distance_high"] == 0 else "all inputs are equal"
            axes.text(edges[0] * 1.1, place, why, va="center", fontsize=_SIZE)


def _names(rows: pd.DataFrame) -> list[str]:
    short = short_names(rows["label"])
    layers = zip(rows["label"], rows["place"], strict=True)
    return [f"{short[label]}  layer {place}" if place == 1 else f"layer {place}" for label, place in layers]


def describe_layer_distances(data: pd.DataFrame) -> str:
    """The text alternative of the figure."""
    parts = []
    for setting, here in data.groupby("setting", sort=False):
        layers = []
        for row in here.to_dict("records"):
            ratios = f"{row['distance_low']:.3g} to {row['distance_high']:.3g}"
            layers.append(f"{row['label']} layer {row['place']} {ratios}, effective rank {row['effective_rank']:.3g}")
        parts.append(f"{setting}: {'; '.join(layers)}")
    return (
        "Distance of two inputs after each hidden layer / before it, 5 % to 95 % quantile over pairs, and effective "
        f"rank of the layer's outputs, before training, mean over replicates. {'. '.join(parts)}."
    ).replace("nan to nan", "no distance")


def _make(study: Study) -> Drawn | str:
    data = layer_distances(study)
    if data.empty:
        return "no run has a hidden layer"
    return Drawn(
        figure=draw_layer_distances(data),
        data=data,
        description=describe_layer_distances(data),
        caption=(
            "Before any training: the distance of two inputs after a layer / before it. Bar: 5 % to 95 % quantile over "
            "pairs of inputs (to the edge of the panel: down to 0); mark: median. A short bar means that distinct "
            "inputs stay distinct. A layer of effective rank 1 passes on a single number, whose distances the next "
            "such layer only scales."
        ),
        code="data = report.layer_distances(study)\nfigure = report.draw_layer_distances(data)",
    )


FIGURE = FigureRecord("distances", "Distances between inputs, layer by layer", _make)
