"""What the untrained layers of each start do to inputs, by width and depth: a campaign's tables of `geometry`."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tickets.errors import InputError
from tickets.store import Saved

from .intervals import paired_interval
from .pairs import TICKET
from .why_random import starts

TABLE = "geometry"
MEASURES = (
    "deviation",
    "deviation_layer",
    "correlation",
    "angle_after",
    "angle_kernel",
    "class_separation",
    "effective_rank",
    "lost",
)
KEYS = ["setting", "start", "kind", "widths", "depth", "place", "width"]


def why_no_layers(saved: Saved, without: Collection[str] = ()) -> str | None:
    """Why a campaign cannot say what the layers of different starts do, or None if it can.

    It needs two starts, or two widths or depths of one, in the same setting, with the probe `geometry`.

    Parameters
    ----------
    saved : Saved
        The campaign.
    without : collection of str
        Runs to leave out.
    """
    runs = _runs(saved, without)
    if not runs:
        return 'no run has the probe "geometry"'
    table = starts({run: saved.config(run) for run in runs})
    if len(table[["setting", "model", "start", "biases", "widths", "dropout", "options"]].drop_duplicates()) < 2:
        return "it has one start of one width and depth; sweep model.init or model.widths"
    return None


def layers(saved: Saved, without: Collection[str] = (), confidence: float = 0.95) -> pd.DataFrame:
    """Means over replicates of what the dense networks' hidden layers do, as training starts.

    Parameters
    ----------
    saved : Saved
        The campaign.
    without : collection of str
        Runs to leave out.
    confidence : float
        Of the t-intervals, in (0, 1).

    Returns
    -------
    DataFrame
        A row per run, hidden layer and measure. Columns: setting (the data set, and what else differs between runs),
        start, kind (as in `why_random.starts`), widths (of all hidden layers, as text), depth (their number), place (of
        the layer, from 1), width (of the layer), measure (a column of the probe), n (replicates with a value), mean,
        low and high; low and high are NaN for n < 2.

    Raises
    ------
    InputError
        If `why_no_layers` gives a reason, or a table is damaged.
    """
    why = why_no_layers(saved, without)
    if why is not None:
        raise InputError(f"{saved.folder}: {why}")
    runs = _runs(saved, without)
    described = starts({run: saved.config(run) for run in runs})
    named = described.assign(start=[_name(row) for row in described.to_dict("records")])
    table = saved.probe(TABLE)
    dense = table[table["run"].isin(runs) & (table["round"] == 0) & (table["arm"] == TICKET)]
    depth = dense.groupby("run")["place"].max().rename("depth")
    long = dense.melt(["run", "replicate", "place", "width"], list(MEASURES), "measure", "value")
    wide = long.pivot(index=["run", "place", "width", "measure"], columns="replicate", values="value")
    mean, low, high = paired_interval(wide.to_numpy(np.float64), confidence)
    measured = {"n": wide.notna().sum(axis=1).to_numpy(), "mean": mean, "low": low, "high": high}
    numbers = pd.DataFrame(measured, index=wide.index).reset_index()
    whole = named[["run", "setting", "start", "kind", "widths"]].merge(depth, on="run").merge(numbers, on="run")
    rows = {run: place for place, run in enumerate(named["run"])}
    order = {measure: place for place, measure in enumerate(MEASURES)}
    sorting = whole.assign(row=whole["run"].map(rows), order=whole["measure"].map(order))
    found = sorting.sort_values(["row", "place", "order"], ignore_index=True)
    return found[["run", *KEYS, "measure", "n", "mean", "low", "high"]]


def _runs(saved: Saved, without: Collection[str]) -> list[str]:
    """The runs that have rows of the probe's table."""
    return [run for run in saved.probes.get(TABLE, ()) if run not in without]


def _name(row: Mapping[Hashable, Any]) -> str:
    """The start, with what else of the model is not usual."""
    more = [f"dropout {row['dropout']:g}"] if row["dropout"] else []
    more += [str(row["options"])] if row["options"] != "{}" else []
    biases = " + biases" if row["biases"] == "model" and row["start"] != "pytorch" else ""
    return f"{row['start']}{biases}" + (f" [{', '.join(more)}]" if more else "")
