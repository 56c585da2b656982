"""The figure of the surviving fraction of each tensor against density."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..annotation import label_ends, short_names
from ..figure import Drawn, FigureRecord
from ..look import drawing, look_of_tensor
from ..masks import Masks, density_of
from ..panels import one_panel
from ..run_data import RunData
from ..ticks import density_axis, label_fractions

_MOST_LABELS = 10


def surviving(masks: Masks) -> pd.DataFrame:
    """The fraction of each tensor's weights that survives: a row per round and tensor.

    Parameters
    ----------
    masks : mapping
        As `read_masks` returns.

    Returns
    -------
    DataFrame
        Columns round, density, tensor, weights (in the tensor), kept and fraction; kept (surviving weights) and
        fraction are means over replicates.
    """
    rows = []
    for number, by_replicate in masks.items():
        density = density_of(by_replicate)
        for name, first in next(iter(by_replicate.values())).items():
            kept = float(np.mean([int(mask[name].sum()) for mask in by_replicate.values()]))
            rows.append((number, density, name, first.size, kept, kept / first.size))
    return pd.DataFrame(rows, columns=["round", "density", "tensor", "weights", "kept", "fraction"])


@drawing
def draw_surviving(data: pd.DataFrame) -> Figure:
    """Draw the table of `surviving`: a line per tensor, both axes on a log scale; dashed, the whole network."""
    names = list(data["tensor"].unique())
    short = short_names(names)
    figure, axes = one_panel(min(len(names), _MOST_LABELS) + 1)
    density_axis(axes, list(data["density"]))
    axes.set_yscale("log")
    axes.set_ylim(_low(data) / 1.2, 1)
    label_fractions(axes.yaxis, *axes.get_ylim())
    axes.set_ylabel("surviving fraction")
    whole = np.sort(data["density"].unique())
    axes.plot(whole, whole, linestyle=(0, (4, 3)), linewidth=1, color="#808080", clip_on=False)
    ends = [("all", whole[0], whole[0], "#808080")] if len(names) > 1 else []
    for index, name in enumerate(names):
        rows = data[(data["tensor"] == name) & (data["fraction"] > 0)]
        look = look_of_tensor(index)
        axes.plot(rows["density"], rows["fraction"], color=look.colour, marker=look.marker, clip_on=False)
        if len(rows) and (len(names) <= _MOST_LABELS or index in (0, len(names) - 1)):
            ends.append((short[name], rows["density"].iloc[-1], rows["fraction"].iloc[-1], look.colour))
    label_ends(axes, ends)
    return figure


def describe_surviving(data: pd.DataFrame) -> str:
    """The text alternative of the figure."""
    last = data[data["round"] == data["round"].max()]
    kept = ", ".join(f"{100 * row['fraction']:.3g} % of {row['tensor']}" for row in last.to_dict("records"))
    return (
        f"Surviving fraction of each tensor's weights against density, mean over replicates. At density "
        f"{last['density'].iloc[0]:.4g}: {kept}."
    )


def _low(data: pd.DataFrame) -> float:
    fractions = data.loc[data["fraction"] > 0, "fraction"]
    return float(min([1.0, *fractions, *data.loc[data["density"] > 0, "density"]]))


def _make(run: RunData) -> Drawn | str:
    data = surviving(run.masks)
    return Drawn(
        figure=draw_surviving(data),
        data=data,
        description=describe_surviving(data),
        caption="Mean over replicates. Dashed: all prunable weights together.",
        code="data = report.surviving(masks)\nfigure = report.draw_surviving(data)",
    )


FIGURE = FigureRecord("surviving", "Surviving fraction by tensor", _make)
