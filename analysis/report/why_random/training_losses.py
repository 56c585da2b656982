"""The figure of the training loss during training, one line per start."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tickets.store.derived import is_dense

from ...intervals import paired_interval
from ...why_random import Study
from ..annotation import label_ends, short_names, short_title
from ..figure import Drawn, FigureRecord
from ..look import drawing
from ..panels import stacked
from ..ticks import plain_log
from .kinds import look_of_kind, right_of


def training_losses(study: Study, confidence: float = 0.95) -> pd.DataFrame:
    """Training loss of the dense tickets, mean over replicates: a row per run and evaluated step.

    Parameters
    ----------
    study : Study
        As `study_of` returns.
    confidence : float
        In (0, 1).

    Returns
    -------
    DataFrame
        Columns setting, label, kind, run, step, n (replicates with a value), mean, low and high (t-interval).
    """
    dense = study.curves[is_dense(study.curves)]
    wide = dense.pivot_table(
        index=["run", "step"], columns="replicate", values="train_loss", aggfunc="mean", dropna=False
    )
    mean, low, high = paired_interval(wide.to_numpy(), confidence)
    n = wide.notna().sum(axis=1).to_numpy()
    table = wide.reset_index()[["run", "step"]].assign(n=n, mean=mean, low=low, high=high).rename_axis(columns=None)
    named = study.starts[["setting", "label", "kind", "run"]].merge(table, on="run")
    return named[["setting", "label", "kind", "run", "step", "n", "mean", "low", "high"]]


@drawing
def draw_training_losses(data: pd.DataFrame) -> Figure:
    """Draw the table of `training_losses`: loss on a log scale, a panel per setting."""
    settings = list(data["setting"].unique())
    names = short_names(data["label"])
    most = int(data.groupby("setting")["label"].nunique().max())
    figure, grid = stacked([max(3.0, 0.22 * most)] * len(settings), 0.15, right_of(names.values(), 0.15))
    for axes, setting in zip(grid, settings, strict=True):
        here = data[data["setting"] == setting]
        axes.set_title(short_title(setting))
        axes.set_yscale("log")
        shown = here.loc[here["mean"] > 0, "mean"]
        if len(shown):
            low, high = float(shown.min()), float(shown.max())
            axes.set_ylim(low / (high / low) ** 0.12 / 1.2, high * 1.3)
            plain_log(axes.yaxis, (1.0,) if high > 30 * low else (1.0, 2.0, 5.0))
        axes.set(ylabel="training loss (log scale)", xlabel="step")
        ends, seen = [], dict.fromkeys(here["kind"].unique(), 0)
        for label in here["label"].unique():
            rows = here[(here["label"] == label) & (here["mean"] > 0)]
            if rows.empty:
                continue
            kind = str(rows["kind"].iloc[0])
            look = look_of_kind(kind, seen[kind])
            seen[kind] += 1
            band = rows[rows["low"] > 0]
            axes.fill_between(band["step"], band["low"], band["high"], color=look.colour, alpha=0.1, linewidth=0)
            axes.plot(rows["step"], rows["mean"], color=look.colour, marker=look.marker, markevery=5, linewidth=1.1)
            ends.append((names[label], float(rows["step"].iloc[-1]), float(rows["mean"].iloc[-1]), look.colour))
        label_ends(axes, ends)
    return figure


def describe_training_losses(data: pd.DataFrame) -> str:
    """The text alternative of the figure."""
    last = data[data["step"] == data.groupby("run")["step"].transform("max")]
    parts = []
    for setting, here in last.groupby("setting", sort=False):
        starts = [
            f"{row['label']} " + ("diverged" if np.isnan(row["mean"]) else f"{row['mean']:.3g}")
            for row in here.to_dict("records")
        ]
        parts.append(f"{setting}: {', '.join(starts)}")
    steps = f"{data['step'].max():,.0f}"
    return f"Training loss against training step, mean over replicates. After {steps} steps, {'. '.join(parts)}."


def _make(study: Study) -> Drawn | str:
    data = training_losses(study)
    if data["mean"].isna().all():
        return "every training diverged"
    return Drawn(
        figure=draw_training_losses(data),
        data=data,
        description=describe_training_losses(data),
        caption=(
            "Dense networks. Line: mean over replicates; band: its 95 % t-interval. Blue: random starts; green: "
            "deterministic starts of different units; orange: equal units."
        ),
        code="data = report.training_losses(study)\nfigure = report.draw_training_losses(data)",
    )


FIGURE = FigureRecord("losses", "Training loss", _make)
