"""The figure of test accuracy (or R2, or loss) against density."""

from __future__ import annotations

from ...labels import CLASSIFICATION, capitalised
from ..figure import Drawn, FigureRecord
from ..run_data import RunData
from .by_density import INTERVALS, by_density, describe_by_density, draw_by_density


def _make(run: RunData) -> Drawn | str:
    labels, metric = run.labels, run.labels.metric
    data = by_density(run.rounds, metric)
    named = "" if metric == CLASSIFICATION.metric else f', "{metric}"'
    heading = capitalised(labels.heading(metric))
    return Drawn(
        figure=draw_by_density(data, metric, labels=labels),
        data=data,
        description=describe_by_density(data, metric, labels),
        caption=f"{heading}. {INTERVALS} Dashed: the ticket's own dense network.",
        code=(
            f"data = report.by_density(rounds{named})\n"
            f"figure = report.draw_by_density(data{named}{run.labels_argument})"
        ),
        title=heading,
    )


FIGURE = FigureRecord("accuracy", "Test accuracy at early stop", _make)
