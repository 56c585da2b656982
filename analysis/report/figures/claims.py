"""The figure of a run's claims: each estimate with its interval, what was expected, and the published number."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...claims import answers_of_run
from ...declared import label_of
from ...labels import Label, Labels
from ...metrics import METRICS
from ..figure import Drawn, FigureRecord, NotMeasured
from ..look import INK, drawing, nth_look
from ..panels import stacked
from ..run_data import RunData
from ..visible import visible

NONE = NotMeasured("the campaign file has no [[claim]] with a number")
_HEIGHT = 0.32  # inches, of a claim's panel
_COLOURS = {"yes": 2, "no": 3, "cannot tell": 7}  # of `nth_look`
_COLUMNS = ["id", "answer", "expect", "metric", "density", "estimate", "low", "high", "n", "margin", "published"]


def claims_data(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The claims that have an estimate, as the figure draws them.

    Parameters
    ----------
    rows : list of dict
        As `answers_of_run` returns.
    """
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table[table["estimate"].notna()].reset_index(drop=True)


@drawing
def draw_claims(data: pd.DataFrame, labels: Labels) -> Figure:
    """Draw a panel for each claim: its estimate and interval, the margin, and the published number.

    Parameters
    ----------
    data : DataFrame
        As `claims_data` returns.
    labels : Labels
        The names and units of the run's quantities.
    """
    figure, grid = stacked([_HEIGHT] * len(data), left=0.08, right=0.92, above=0.34)
    for axes, row in zip(grid, data.to_dict("records"), strict=True):
        _draw(axes, row, labels)
    return figure


def _draw(axes: Axes, row: dict[Any, Any], labels: Labels) -> None:
    label = _label(row, labels)
    zero, factor = (1.0, 1.0) if _is_ratio(row) else (0.0, label.factor)
    look = nth_look(_COLOURS[row["answer"]])
    margin = float(row["margin"])
    if margin:
        ends = (1 / (1 + margin), 1 + margin) if _is_ratio(row) else (-factor * margin, factor * margin)
        axes.axvspan(*ends, color=INK, alpha=0.1, linewidth=0)
    axes.axvline(zero, color=INK, linewidth=0.8)
    if not math.isnan(row["low"]):
        axes.plot([factor * row["low"], factor * row["high"]], [0, 0], color=look.colour)
    axes.plot(factor * row["estimate"], 0, look.marker, color=look.colour)
    if row["published"] is not None and not math.isnan(row["published"]):
        axes.plot(factor * row["published"], 0, "|", color=INK, markersize=12)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    unit = "ratio" if _is_ratio(row) else label.difference
    axes.set_title(visible(f"{row['id']}: {row['answer']} (expected {row['expect']}{f'; {unit}' if unit else ''})"))


def describe_claims(data: pd.DataFrame, labels: Labels) -> str:
    """The figure in words."""
    return " ".join(
        f"{row['id']}: {_number(row, 'estimate', labels)}"
        + (f" [{_number(row, 'low', labels)}, {_number(row, 'high', labels)}]" if not math.isnan(row["low"]) else "")
        + f", expected {row['expect']}: {row['answer']}."
        for row in data.to_dict("records")
    )


def _number(row: dict[Any, Any], key: str, labels: Labels) -> str:
    return f"{row[key]:.3f}" if _is_ratio(row) else _label(row, labels).difference_text(row[key])


def _label(row: dict[Any, Any], labels: Labels) -> Label:
    return label_of(row["metric"], labels)


def _is_ratio(row: dict[Any, Any]) -> bool:
    return row["metric"] in METRICS and METRICS[row["metric"]].ratio


def _make(run: RunData) -> Drawn | str:
    data = claims_data(answers_of_run(run.saved, run.run, run.rule))
    if data.empty:
        return NONE
    return Drawn(
        figure=draw_claims(data, run.labels),
        data=data,
        description=describe_claims(data, run.labels),
        caption=(
            "Each claim's estimate and the interval that decides it, simultaneous over the claims of the run. Vertical "
            "line: no difference. Shaded: the margin. Upright mark: the published number."
        ),
        code=(
            "rule = report.rule_of(saved.file(run))\n"
            "data = report.claims_data(report.answers_of_run(saved, run, rule))\n"
            "figure = report.draw_claims(data, rule.labels)"
        ),
    )


FIGURE = FigureRecord("claim_estimates", "What each claim rests on", _make)
