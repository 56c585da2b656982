"""The figure of sharpness against density."""

from __future__ import annotations

from ..figure import Drawn, FigureRecord, NotMeasured
from ..probed import INTERVALS, Quantity, describe_probe_means, draw_probe_means, log_axis_text, n_text, probe_means
from ..run_data import RunData

SHARPNESS = (Quantity("sharpness", "Hessian after training", "largest eigenvalue", log=True),)


def _make(run: RunData) -> Drawn | str:
    table = run.probe("sharpness", ("sharpness", "converged"))
    if table is None:
        return NotMeasured("the probe 'sharpness' was not measured (probes = [\"sharpness\"], or `tickets probe`)")
    data = probe_means(table, ["sharpness"])
    if data.empty:
        return "no network has a value: none converged, or all diverged"
    lost = int((~table["converged"]).sum())
    without = f" Left out: {lost} of {len(table)} networks, which diverged or whose eigenvalue was not found."
    return Drawn(
        figure=draw_probe_means(data, SHARPNESS),
        data=data,
        description=describe_probe_means(data, SHARPNESS),
        caption=(
            "The largest eigenvalue of the Hessian of the training loss after training, on the same training examples "
            f"for all; gradient descent is stable below 2 / learning rate. {INTERVALS} {n_text(data)}."
            f"{log_axis_text(data)}{without if lost else ''}"
        ),
        code=(
            'data = report.probe_means(report.read_probe(saved, run, "sharpness"), ["sharpness"])\n'
            "figure = report.draw_probe_means(data, report.SHARPNESS)"
        ),
    )


FIGURE = FigureRecord("sharpness", "Sharpness", _make)
