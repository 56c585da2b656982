"""The figure of what pruned layers do to angles between inputs before training, against density."""

from __future__ import annotations

import pandas as pd

from ..figure import Drawn, FigureRecord, NotMeasured
from ..probed import INTERVALS, Quantity, describe_probe_means, draw_probe_means, n_text, probe_means
from ..run_data import RunData

GEOMETRY = (
    Quantity("deviation", "deviation from Gaussian layers", "of the cosines, r.m.s.", share=True),
    Quantity("correlation", "order of the angles kept", "correlation of cosines"),
    Quantity("effective_rank", "effective rank", "directions"),
    Quantity("class_separation", "separation of classes", "ratio of angles"),
)
COLUMNS = ("layer", "place", "deviation", "correlation", "effective_rank", "class_separation")


def last_layers(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each network's last hidden layer. table: of the probe `geometry`, one run's."""
    rows: pd.DataFrame = table[table["place"] == table["place"].max()]
    return rows


def _make(run: RunData) -> Drawn | str:
    table = run.probe("geometry", COLUMNS)
    if table is None or table.empty:
        return NotMeasured("the probe 'geometry' was not measured (probes = [\"geometry\"], or `tickets probe`)")
    if table["round"].nunique() < 2:
        return "only the dense round is measured; the chapter of the campaign shows it by width and depth"
    data = probe_means(last_layers(table), [one.column for one in GEOMETRY])
    if data.empty:
        return "no network has a value"
    return Drawn(
        figure=draw_probe_means(data, GEOMETRY, distinct=True),
        data=data,
        description=describe_probe_means(data, GEOMETRY),
        caption=(
            "Of the last hidden layer as training starts. Deviation: of the cosines of pairs of inputs from those "
            "after as many infinitely wide dense Gaussian layers (arc-cosine kernel, Cho & Saul 2009); correlation: of "
            "these two over pairs; effective rank: of the outputs; separation: the mean angle of inputs of different "
            "classes over that of inputs of one class. An arm with the ticket's numbers throughout has no "
            "line. "
            f"{INTERVALS} {n_text(data)}."
        ),
        code=(
            'table = report.last_layers(report.read_probe(saved, run, "geometry"))\n'
            "data = report.probe_means(table, [one.column for one in report.GEOMETRY])\n"
            "figure = report.draw_probe_means(data, report.GEOMETRY, distinct=True)"
        ),
    )


FIGURE = FigureRecord("geometry", "Angles between inputs after the untrained layers", _make)
