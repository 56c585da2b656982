"""The figure of the structure of masks: units and weights that are cut off, and paths."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..figure import Drawn, FigureRecord, NotMeasured
from ..probed import INTERVALS, Quantity, describe_probe_means, draw_probe_means, n_text, probe_means
from ..run_data import RunData

STRUCTURE = (
    Quantity("dead_units", "units without a way in or on", "share of units", share=True),
    Quantity("inputs_not_read", "inputs that are not read", "share of inputs", share=True),
    Quantity("not_on_a_path", "survivors on no path", "share of survivors", share=True),
    Quantity("log10_paths", "paths from input to output", "number, log10"),
)
COLUMNS = {"units", "inputs", "inputs_cut", "dead", "effective", "paths"}


def structure_shares(table: pd.DataFrame) -> pd.DataFrame:
    """Shares of the network's units, inputs and survivors, a row for each network.

    Parameters
    ----------
    table : DataFrame
        The table of the probe `structure`, without `units = true`.

    Returns
    -------
    DataFrame
        The keys, and dead_units, inputs_not_read, not_on_a_path and log10_paths (NaN where there is no path).
    """
    rows = table[table["tensor"] == "all"]
    keys = rows[["run", "replicate", "round", "density", "arm", "draw"]]
    return keys.assign(
        dead_units=rows["dead"] / rows["units"],
        inputs_not_read=rows["inputs_cut"] / rows["inputs"],
        not_on_a_path=1 - rows["effective"] / rows["survivors"].where(rows["survivors"] > 0),
        log10_paths=np.log10(rows["paths"].where((rows["paths"] > 0) & np.isfinite(rows["paths"]))),
    )


def _make(run: RunData) -> Drawn | str:
    table = run.probe("structure", ("tensor", "survivors"))
    if table is None or not ("side" in table or set(table.columns) >= COLUMNS):
        return NotMeasured(
            "the probe 'structure' was not measured (probes = [\"structure\"], or `tickets probe`: masks suffice)"
        )
    if "side" in table:
        return "the probe 'structure' was measured with units = true, by unit; without it, the figure can be drawn"
    data = probe_means(structure_shares(table), [one.column for one in STRUCTURE])
    return Drawn(
        figure=draw_probe_means(data, STRUCTURE, distinct=True),
        data=data,
        description=describe_probe_means(data, STRUCTURE),
        caption=(
            "Of the masks alone. Units to which no surviving weight leads, or from which none leads on; inputs of the "
            "network that no surviving weight reads; surviving weights on no path from an input to an output; the "
            "number of such paths (only for chains of Linear and Conv2d layers). An arm with the ticket's numbers "
            f"throughout has no line. {INTERVALS} {n_text(data)}."
        ),
        code=(
            'table = report.structure_shares(report.read_probe(saved, run, "structure"))\n'
            "data = report.probe_means(table, [one.column for one in report.STRUCTURE])\n"
            "figure = report.draw_probe_means(data, report.STRUCTURE, distinct=True)"
        ),
    )


FIGURE = FigureRecord("structure", "Structure of the masks", _make)
