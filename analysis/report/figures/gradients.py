"""The figures of gradients: their length at both ends of training against density, and by step."""

from __future__ import annotations

import pandas as pd

from ..figure import Drawn, FigureRecord, NotMeasured
from ..probed import (
    INTERVALS,
    Quantity,
    describe_probe_means,
    describe_probe_steps,
    draw_probe_means,
    draw_probe_steps,
    log_axis_text,
    n_text,
    probe_means,
)
from ..run_data import RunData
from .learning_curves import chosen_rounds

_UNIT = "norm of the gradient"
GRADIENTS = (
    Quantity("at_start", "before training", _UNIT, log=True),
    Quantity("at_end", "after training", _UNIT, log=True),
)
NORM = Quantity("norm", "norm", _UNIT, log=True)
COLUMNS = ("step", "tensor", "norm")
MISSING = NotMeasured("the probe 'gradients' was not measured (probes = [\"gradients\"], or `tickets probe`)")
_TRAINING = ["run", "replicate", "round", "density", "arm", "draw"]


def gradients_at_ends(table: pd.DataFrame) -> pd.DataFrame:
    """The norm of all tensors together at the first and at the last step: a row for each training.

    Columns: the keys, at_start and at_end; at_end is NaN where the end was not measured.
    """
    rows = table[table["tensor"] == "all"]
    found = rows.groupby(_TRAINING, sort=False).agg(
        at_start=("norm", "first"), at_end=("norm", lambda norms: norms.iloc[-1]), steps=("norm", "size")
    )
    found["at_end"] = found["at_end"].where(found["steps"] > 1)
    return found.drop(columns="steps").reset_index()


def _make(run: RunData) -> Drawn | str:
    table = run.probe("gradients", COLUMNS)
    if table is None:
        return MISSING
    data = probe_means(gradients_at_ends(table), [one.column for one in GRADIENTS])
    if data.empty:
        return "no network has a value: all diverged"
    return Drawn(
        figure=draw_probe_means(data, GRADIENTS),
        data=data,
        description=describe_probe_means(data, GRADIENTS),
        caption=(
            "The Euclidean length of the training loss's gradient by the surviving weights, before and after training, "
            f"on the same training examples for all. {INTERVALS} {n_text(data)}.{log_axis_text(data)}"
        ),
        code=(
            'table = report.gradients_at_ends(report.read_probe(saved, run, "gradients"))\n'
            "data = report.probe_means(table, [one.column for one in report.GRADIENTS])\n"
            "figure = report.draw_probe_means(data, report.GRADIENTS)"
        ),
    )


def _make_steps(run: RunData) -> Drawn | str:
    table = run.probe("gradients", COLUMNS)
    if table is None:
        return MISSING
    chosen = chosen_rounds(run.rounds)
    rows = table[(table["tensor"] == "all") & table["round"].isin(chosen)]
    data = probe_means(rows, ["norm"], by=["step"])
    if data.empty:
        return "no network has a value: all diverged"
    return Drawn(
        figure=draw_probe_steps(data, NORM),
        data=data,
        description=describe_probe_steps(data, NORM),
        caption=(
            "The length of the training loss's gradient by the surviving weights, by step, at densities evenly spread "
            f"over the rounds. {INTERVALS} {n_text(data)}.{log_axis_text(data)} Two points: measured "
            "afterwards, at both ends alone."
        ),
        code=(
            'table = report.read_probe(saved, run, "gradients")\n'
            f'rows = table[(table["tensor"] == "all") & table["round"].isin({chosen})]\n'
            'data = report.probe_means(rows, ["norm"], by=["step"])\n'
            "figure = report.draw_probe_steps(data, report.NORM)"
        ),
    )


FIGURE = FigureRecord("gradients", "Gradients at the start and the end", _make)
BY_STEP = FigureRecord("gradients_by_step", "Gradients during training", _make_steps)
