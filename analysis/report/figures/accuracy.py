"""The figure of test accuracy against density."""

from __future__ import annotations

from ...labels import capitalised
from ..figure import Drawn, FigureRecord
from ..run_data import RunData
from .by_density import ACCURACY, INTERVALS, by_density, describe_by_density, draw_by_density


def _make(run: RunData) -> Drawn | str:
    data, labels = by_density(run.rounds), run.labels
    if data["mean"].isna().all():
        return f"no training has a {labels.heading(ACCURACY)}"
    return Drawn(
        figure=draw_by_density(data, labels=labels),
        data=data,
        description=describe_by_density(data, labels=labels),
        caption=f"{capitalised(labels.heading(ACCURACY))}. {INTERVALS} Dashed: the ticket's own dense network.",
        code=f"data = report.by_density(rounds)\nfigure = report.draw_by_density(data{run.labels_argument})",
    )


FIGURE = FigureRecord("accuracy", "Test accuracy at early stop", _make)
