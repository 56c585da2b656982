"""The figures of signs: how many survivors flip, and how many agree with the dense network."""

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
    n_text,
    probe_means,
)
from ..run_data import RunData
from .learning_curves import chosen_rounds

FLIPPED = Quantity("flipped", "sign is not the initial one", "share of survivors", share=True)
SIGNS = (FLIPPED, Quantity("as_dense", "sign is the dense network's", "share of survivors", share=True))
COLUMNS = ("step", "tensor", *(one.column for one in SIGNS))
MISSING = NotMeasured(
    "the probe 'signs' was not measured (probes = [\"signs\"], or `tickets probe` where trained values are stored)"
)


def last_signs(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of all tensors together, at each training's last step."""
    rows = table[table["tensor"] == "all"]
    training = rows.groupby(["replicate", "round", "arm", "draw"], sort=False)["step"]
    return rows[rows["step"] == training.transform("max")]


def _make(run: RunData) -> Drawn | str:
    table = run.probe("signs", COLUMNS)
    if table is None:
        return MISSING
    data = probe_means(last_signs(table), [one.column for one in SIGNS])
    if data.empty:
        return "no network has a value: all diverged"
    return Drawn(
        figure=draw_probe_means(data, SIGNS),
        data=data,
        description=describe_probe_means(data, SIGNS),
        caption=(
            f"Surviving weights after training: the share whose sign is another than before training, and the share "
            f"with the sign that the same replicate's dense network ends with. {INTERVALS} {n_text(data)}."
        ),
        code=(
            'table = report.last_signs(report.read_probe(saved, run, "signs"))\n'
            "data = report.probe_means(table, [one.column for one in report.SIGNS])\n"
            "figure = report.draw_probe_means(data, report.SIGNS)"
        ),
    )


def _make_steps(run: RunData) -> Drawn | str:
    table = run.probe("signs", COLUMNS)
    if table is None:
        return MISSING
    chosen = chosen_rounds(run.rounds)
    rows = table[(table["tensor"] == "all") & table["round"].isin(chosen)]
    data = probe_means(rows, ["flipped"], by=["step"])
    if data.empty:
        return "no network has a value: all diverged"
    return Drawn(
        figure=draw_probe_steps(data, FLIPPED),
        data=data,
        description=describe_probe_steps(data, FLIPPED),
        caption=(
            f"The share of surviving weights whose sign is another than before training, by step, at densities evenly "
            f"spread over the rounds. {INTERVALS} {n_text(data)}. Two points: measured afterwards, at both ends alone."
        ),
        code=(
            'table = report.read_probe(saved, run, "signs")\n'
            f'rows = table[(table["tensor"] == "all") & table["round"].isin({chosen})]\n'
            'data = report.probe_means(rows, ["flipped"], by=["step"])\n'
            "figure = report.draw_probe_steps(data, report.FLIPPED)"
        ),
    )


FIGURE = FigureRecord("signs", "Signs after training", _make)
BY_STEP = FigureRecord("signs_by_step", "Signs during training", _make_steps)
