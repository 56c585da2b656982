"""The figure of learning curves at some densities, one line per arm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import special

from ...labels import CLASSIFICATION, Labels, capitalised
from ...summary import mean_density
from ..annotation import legend_above
from ..figure import Drawn, FigureRecord
from ..look import drawing, looks_of
from ..panels import panels
from ..run_data import RunData

COLUMN = "test_accuracy"


def chosen_rounds(rounds: pd.DataFrame, count: int = 4) -> list[int]:
    """Rounds that are evenly spread over those in which the ticket was trained, the first and the last included.

    Parameters
    ----------
    rounds : DataFrame
        The rows of one run.
    count : int
        At most so many.
    """
    there = np.sort(rounds.loc[rounds["arm"] == "ticket", "round"].unique())
    places = np.linspace(0, len(there) - 1, min(count, len(there))).round().astype(int)
    return [int(number) for number in there[places]]


def learning_curves(
    curves: pd.DataFrame, rounds: Sequence[int], column: str = COLUMN, confidence: float = 0.95
) -> pd.DataFrame:
    """Mean of a column of `curves` over replicates: a row per chosen round, arm and evaluated step.

    Draws are averaged within each replicate first. Trainings without a value (diverged) are left out.

    Parameters
    ----------
    curves : DataFrame
        The rows of one run.
    rounds : sequence of int
        The chosen rounds.
    column : str
        A measured column of `curves`.
    confidence : float
        In (0, 1).

    Returns
    -------
    DataFrame
        Columns round, density, arm, step, n, mean, low and high; the interval as in `by_density`.
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
def draw_learning_curves(data: pd.DataFrame, column: str = COLUMN, labels: Labels = CLASSIFICATION) -> Figure:
    """Draw the table of `learning_curves`: a panel per density, all with the same axes.

    Parameters
    ----------
    data : DataFrame
        As `learning_curves` returns.
    column : str
        The column that it is of.
    labels : Labels
        Names and units.
    """
    numbers = list(data["round"].unique())
    figure, grid = panels(len(numbers), 2.1, sharex=True, sharey=True)
    label = labels.of(column)
    scale = label.factor
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
    least, most = label.bounds(scale * data["mean"])
    grid[0].set_ylim(max(low, least), min(high, most))
    arms = list(data["arm"].unique())
    lines = [Line2D([], [], color=looks[arm].colour, linewidth=2.5) for arm in arms]
    lost = {arm for arm, rows in data.groupby("arm") if rows["mean"].isna().all()}
    texts = [f"{arm} (diverged)" if arm in lost else arm for arm in arms]
    legend_above(figure, lines, texts)
    figure.supxlabel("step", fontsize=10)
    figure.supylabel(f"{labels.heading(column)}{label.axis_unit}", fontsize=10)
    return figure


def _limits(late: pd.DataFrame) -> tuple[float, float]:
    """Limits that contain the means of `late`, and their intervals up to a quarter of the means' range."""
    if late["mean"].isna().all():
        return 0.0, 1.0
    low, high = float(late["mean"].min()), float(late["mean"].max())
    span = high - low or 1.0
    top = float(late["high"].fillna(late["mean"]).max())
    return low - 0.05 * span, min(top, high + span / 4) + 0.05 * span


def describe_learning_curves(data: pd.DataFrame, column: str = COLUMN, labels: Labels = CLASSIFICATION) -> str:
    """The text alternative of the figure; parameters as for `draw_learning_curves`."""
    label = labels.of(column)
    parts, ends_at = [], set()
    for _, here in data.groupby("round", sort=True):
        last = here[here["step"] == here.groupby("arm")["step"].transform("max")]
        ends_at |= set(last["step"])
        ends = ", ".join(f"{row['arm']} {label.value_text(row['mean'])}" for row in last.to_dict("records"))
        parts.append(f"at density {here['density'].iloc[0]:.4g}: {ends}")
    when = f"After {max(ends_at):,.0f} steps" if len(ends_at) == 1 else "At the last step of each training"
    what = f"{capitalised(labels.heading(column))} against training step, mean over replicates"
    return f"{what}. {when}, {'; '.join(parts)}."


def _make(run: RunData) -> Drawn | str:
    chosen = chosen_rounds(run.rounds)
    labels, column = run.labels, run.labels.column
    data = learning_curves(run.curves, chosen, column)
    if data.empty:
        return "no evaluated step is saved"
    named = "" if column == CLASSIFICATION.column else f', "{column}"'
    return Drawn(
        figure=draw_learning_curves(data, column, labels),
        data=data,
        description=describe_learning_curves(data, column, labels),
        caption=(
            f"{capitalised(labels.heading(column))} during training, at densities evenly spread over the rounds. "
            "Line and band as in the first figure. The axis fits the values after the first tenth of training; earlier "
            f"ones may lie {'below' if column.endswith('accuracy') else 'above'} it."
        ),
        code=(
            f"data = report.learning_curves(curves, {chosen}{named})\n"
            f"figure = report.draw_learning_curves(data{named}{run.labels_argument})"
        ),
    )


FIGURE = FigureRecord("curves", "Learning curves", _make)
