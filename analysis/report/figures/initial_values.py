"""The figure of the initial values of the surviving weights, compared with those of all weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..annotation import legend_above, short_names
from ..figure import Drawn, FigureRecord
from ..look import INK, drawing, nth_look
from ..masks import Masks, Values, density_of
from ..panels import panels
from ..run_data import RunData
from ..ticks import within
from .learning_curves import chosen_rounds

_MOST_PANELS = 4


def initial_values(values: Values, masks: Masks, rounds: Sequence[int], bins: int = 40) -> pd.DataFrame:
    """Histograms of theta0 of the weights that survive to each chosen round, all replicates together.

    Parameters
    ----------
    values : mapping
        theta0 by replicate, as `read_initial` returns.
    masks : mapping
        As `read_masks` returns.
    rounds : sequence of int
        In round 0 all weights survive.
    bins : int
        Number of bins of equal width from -m to m, m the largest absolute theta0 of the tensor in any replicate.

    Returns
    -------
    DataFrame
        Columns tensor, round, density, low, high (of the bin), count and share (count / the tensor's surviving weights,
        so that the shapes of histograms can be compared).
    """
    rows = []
    for name in next(iter(values.values())):
        most = max(float(np.abs(one[name]).max()) for one in values.values())
        edges = np.linspace(-most, most, bins + 1) if most > 0 else np.linspace(-1, 1, bins + 1)
        for number in rounds:
            kept = [values[replicate][name][mask[name]] for replicate, mask in masks[number].items()]
            counts, _ = np.histogram(np.concatenate(kept).astype(np.float64), edges)
            share = counts / max(counts.sum(), 1)
            density = density_of(masks[number])
            rows += [
                (name, number, density, *row)
                for row in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), share.tolist(), strict=True)
            ]
    return pd.DataFrame(rows, columns=["tensor", "round", "density", "low", "high", "count", "share"])


@drawing
def draw_initial_values(data: pd.DataFrame) -> Figure:
    """Draw the table of `initial_values`: a panel per tensor (at most four), all weights grey, survivors as lines."""
    names = list(data["tensor"].unique())
    if len(names) > _MOST_PANELS:
        names = [names[place] for place in np.linspace(0, len(names) - 1, _MOST_PANELS).round().astype(int)]
    titles = short_names(names, 24)
    figure, grid = panels(len(names), 2.1)
    numbers = sorted(data["round"].unique())
    for axes, name in zip(grid, names, strict=True):
        axes.set_title(titles[name])
        for index, number in enumerate(numbers):
            rows = data[(data["tensor"] == name) & (data["round"] == number)]
            edges = [*rows["low"], rows["high"].iloc[-1]]
            whole = number == 0
            options = {"color": INK, "alpha": 0.25} if whole else {"color": nth_look(index).colour}
            axes.stairs(100 * rows["share"], edges, fill=whole, linewidth=1.3, **options)
        within(axes, 0, 100)
    densities = data.groupby("round")["density"].first()
    looks = [
        Line2D([], [], color=INK, alpha=0.25, linewidth=6) if number == 0
        else Line2D([], [], color=nth_look(index).colour, linewidth=2.5)
        for index, number in enumerate(numbers)
    ]  # fmt: skip
    texts = ["all" if number == 0 else f"density {densities[number]:.4g}" for number in numbers]
    legend_above(figure, looks, texts)
    figure.supxlabel("initial value", fontsize=10)
    figure.supylabel("share of the weights, %", fontsize=10)
    return figure


def describe_initial_values(data: pd.DataFrame) -> str:
    """The text alternative of the figure."""
    middle = data.assign(size=((data["low"] + data["high"]) / 2).abs() * data["share"])
    sizes = middle.groupby(["tensor", "round"], sort=False)["size"].sum()
    first, last = data["round"].min(), data["round"].max()
    density = data.loc[data["round"] == last, "density"].iloc[0]
    parts = []
    for name in data["tensor"].unique():
        whole, kept = sizes[name, first], sizes[name, last]
        parts.append(f"{name} {kept:.3g} against {whole:.3g}" + (f", {kept / whole:.2f} times" if whole > 0 else ""))
    return (
        f"Initial values of the weights that survive to density {density:.4g}, and of all weights. Mean absolute value "
        f"(computed from the bins), survivors against all: {'; '.join(parts)}."
    )


def _make(run: RunData) -> Drawn | str:
    values, chosen = run.values, chosen_rounds(run.rounds)
    numbers = sorted({chosen[0], chosen[len(chosen) // 2], chosen[-1]})
    if len(numbers) < 2:
        return "only the dense round is saved, in which all weights survive"
    data = initial_values(values, run.masks, numbers)
    return Drawn(
        figure=draw_initial_values(data),
        data=data,
        description=describe_initial_values(data),
        caption="All replicates together. Each histogram shows shares of the surviving weights, so shapes compare.",
        code=f"data = report.initial_values(values, masks, {numbers})\nfigure = report.draw_initial_values(data)",
    )


FIGURE = FigureRecord("initial", "Initial values of the survivors", _make)
