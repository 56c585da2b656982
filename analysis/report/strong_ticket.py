"""The figure of random subnetworks that approximate a saved network, from the tables of a sweep."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .look import drawing, nth_look
from .panels import WIDTH

_LEAST = 1e-17  # a worst error of 0 is drawn here, below what float64 has


@drawing
def draw_sweep(networks: pd.DataFrame, every: pd.DataFrame, tolerance: float, needed: float | None) -> Figure:
    """Draw four quantities against the number of candidates, a line for each distribution.

    Parameters
    ----------
    networks
        A row per distribution, number of candidates and tolerance, with the columns values, candidates, tolerance,
        worst_error, mean_error, within_tolerance, exists, exists_low, exists_high, accuracy and target_accuracy.
    every
        A row per distribution, number of candidates and tolerance: values, candidates, tolerance, every, low, high.
    tolerance
        The tolerance that is shown.
    needed
        The number of uniform candidates of the fitted bound; None for none.
    """
    figure = Figure(figsize=(WIDTH, 5.6), layout="constrained")
    grid = figure.subplots(2, 2)
    own, reach = networks[networks["tolerance"] == tolerance], every[every["tolerance"] == tolerance]
    looks = {name: nth_look(index) for index, name in enumerate(own["values"].unique())}
    for name, look in looks.items():
        rows = own[own["values"] == name].sort_values("candidates")
        x, style = rows["candidates"], {"color": look.colour, "marker": look.marker}
        grid[0, 0].plot(x, rows["worst_error"].clip(lower=_LEAST), label=name, **style)
        grid[0, 0].plot(x, rows["mean_error"].clip(lower=_LEAST), color=look.colour, linestyle=":")
        grid[0, 1].plot(x, rows["exists"], color=look.colour)
        grid[0, 1].fill_between(x, rows["exists_low"], rows["exists_high"], color=look.colour, alpha=0.2, linewidth=0)
        grid[0, 1].plot(x, rows["within_tolerance"], linestyle="none", **style)
        grid[1, 0].plot(x, 100 * rows["accuracy"].astype(float), **style)
        drawn = reach[reach["values"] == name].sort_values("candidates")
        grid[1, 1].plot(drawn["candidates"], drawn["every"], **style)
        grid[1, 1].fill_between(
            drawn["candidates"], drawn["low"], drawn["high"], color=look.colour, alpha=0.2, linewidth=0
        )
    _finish(grid[0, 0], "error of a weight: worst; dotted: mean")
    grid[0, 0].set_yscale("log")
    grid[0, 0].axhline(tolerance, color="#808080", linestyle=(0, (4, 3)), linewidth=1)
    _finish(grid[0, 1], f"share of weights within {tolerance:g}")
    _finish(grid[1, 0], "test accuracy, %")
    grid[1, 0].axhline(100 * float(own["target_accuracy"].iloc[0]), color="#808080", linestyle=(0, (4, 3)), linewidth=1)
    _finish(grid[1, 1], f"[-1, 1] within {tolerance:g}: share of draws")
    for count, dashes in ((math.log2(1 / tolerance), (0, (1, 2))), (needed, (0, (4, 3)))):
        if count is not None:
            grid[1, 1].axvline(count, color="#808080", linestyle=dashes, linewidth=1)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def describe_sweep(networks: pd.DataFrame, tolerance: float) -> str:
    """The text alternative of the figure."""
    own = networks[networks["tolerance"] == tolerance]
    most = own[own["candidates"] == own["candidates"].max()]
    found = "; ".join(
        f"{row['values']}: worst error {row['worst_error']:.3g}, {row['beyond_tolerance']:,} of {row['subsets']:,} "
        f"weights not within {tolerance:g}, accuracy {100 * float(row['accuracy']):.4g} %"
        for row in most.to_dict("records")
    )
    target = 100 * float(own["target_accuracy"].iloc[0])
    return (
        f"Random subnetworks that approximate a network of accuracy {target:.4g} %, "
        f"against the number of candidates a weight. With {most['candidates'].iloc[0]} candidates: {found}."
    )


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("candidates a weight")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
