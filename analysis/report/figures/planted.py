"""The figure of a planted ticket: accuracy against density beside the planted one's, and the planted weights kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from ...labels import CLASSIFICATION, Labels, capitalised
from ...pairs import TICKET
from ...planted import planted_by_density, planted_sentences
from ..annotation import label_ends, short_names
from ..figure import Drawn, FigureRecord, NotMeasured
from ..look import drawing, looks_of
from ..panels import two_panels
from ..run_data import RunData
from ..table import Table
from ..ticks import density_axis, within

PROBE = "planted"
TITLE = "The planted ticket"
_GREY = "#808080"
_DASHED, _DOTTED = (0, (4, 3)), (0, (1, 2))


@drawing
def draw_planted(data: pd.DataFrame, labels: Labels = CLASSIFICATION) -> Figure:
    """Draw the table of `planted_by_density`: above, accuracy of each arm; below, the planted weights that it keeps.

    Dashed grey: the planted ticket's accuracy above; the share kept by chance, for the ticket's densities by tensor,
    below. Dotted: the planted ticket's density. An arm that keeps what the ticket keeps has no line below.
    """
    looks, names, label = looks_of(data["arm"]), short_names(data["arm"]), labels.accuracy
    figure, (above, below) = two_panels(len(looks) + 1, height=5.6)
    own = float(data["planted_density"].iloc[0])
    reached = [*data["density"], own]
    for axes in (above, below):
        density_axis(axes, reached)
        axes.axvline(own, linestyle=_DOTTED, linewidth=1, color=_GREY)
    above.set(xlabel="", ylabel=f"test {label.name}{label.axis_unit}")
    below.set(ylabel="planted weights kept, %")
    planted = label.factor * float(data["planted_accuracy"].iloc[0])
    above.axhline(planted, linestyle=_DASHED, linewidth=1, color=_GREY)
    end = above.get_xlim()[1]
    ends_above, ends_below = [("planted ticket", end, planted, _GREY)], []
    ticket = data[data["arm"] == TICKET]
    for arm in sorted(looks, key=lambda arm: arm == TICKET):
        rows, look = data[data["arm"] == arm], looks[arm]
        kept = rows["kept"].to_numpy()
        style: dict[str, Any] = {"color": look.colour, "marker": look.marker, "clip_on": False}
        above.plot(rows["density"], label.factor * rows["accuracy"], **style)
        there = rows[rows["accuracy"].notna()]
        if len(there):
            last = label.factor * float(there["accuracy"].iloc[-1])
            ends_above.append((names[arm], float(there["density"].iloc[-1]), last, look.colour))
        if arm == TICKET or list(kept) != list(ticket["kept"]):
            below.plot(rows["density"], 100 * kept, **style)
            ends_below.append((names[arm], float(rows["density"].iloc[-1]), float(100 * kept[-1]), look.colour))
    if len(ticket):
        below.plot(ticket["density"], 100 * ticket["by_chance"], linestyle=_DASHED, color=_GREY, clip_on=False)
        chance = float(100 * ticket["by_chance"].iloc[-1])
        ends_below.append(("by chance", float(ticket["density"].iloc[-1]), chance, _GREY))
    within(above, *label.bounds(label.factor * data["accuracy"]))
    below.set_ylim(0, 100)
    label_ends(above, ends_above)
    label_ends(below, ends_below)
    return figure


def describe_planted(data: pd.DataFrame, labels: Labels = CLASSIFICATION) -> str:
    """The text alternative of the figure; parameters as for `draw_planted`."""
    label, n = labels.accuracy, int(data["n"].max())
    said = " ".join(capitalised(sentence) for sentence in planted_sentences(data, labels))
    last = data[data["round"] == data["round"].max()]
    arms = "; ".join(
        f"{row['arm']}: {label.value_text(row['accuracy'])}, {100 * row['kept']:.1f} % kept"
        for row in last.to_dict("records")
    )
    return (
        f"Test {label.name} and the share of the planted weights that survive, against density "
        f"{data['density'].max():.4g} to {data['density'].min():.4g}, mean over {n} "
        f"replicate{'s' if n != 1 else ''}. {said} At density {last['density'].iloc[0]:.4g}: {arms}."
    )


def data_of(run: RunData) -> pd.DataFrame | None:
    """The table of `planted_by_density` for a run; None if it has no such probe."""
    planted = run.probe(PROBE, ("kept", "by_chance", "planted_density", "planted_accuracy"))
    if planted is None:
        return None
    return planted_by_density(run.rounds, planted, share=run.rule.margin)


def tables_of_planted(run: RunData) -> list[Table]:
    """The table of a run's planted ticket; none if it has no such probe."""
    data = data_of(run)
    if data is None:
        return []
    label = run.labels.accuracy
    shown = [
        {
            "density": f"{row['density']:.4f}",
            "arm": row["arm"],
            "kept, %": f"{100 * row['kept']:.1f}",
            "by chance, %": f"{100 * row['by_chance']:.1f}",
            "planted among survivors, %": f"{100 * row['precision']:.1f}",
            "against the planted one": _compared(row, run.labels),
        }
        for row in data.to_dict("records")
    ]
    margin = f"{label.factor * float(data['margin'].iloc[0]):.3g} {label.difference}".strip()
    note = (
        "kept: the planted weights that survive; by chance: for masks with as many survivors in each tensor at random "
        f"places. Last: {run.labels.heading(run.labels.metric)} minus that of the planted ticket at its initial values"
        f"{f', in {label.difference}' if label.difference else ''}; its 95 % t-interval, of each row by "
        f"itself; whether the arm is no worse. Margin of equivalence: {margin}."
    )
    return [Table("planted_weights", TITLE, pd.DataFrame(shown), note, data)]


def _compared(row: Mapping[Any, Any], labels: Labels) -> str:
    value, low, high = (float(row[name]) for name in ("difference", "low", "high"))
    return "no value" if math.isnan(value) else f"{labels.accuracy.difference_text(value, low, high)} {row['holds']}"


def _make(run: RunData) -> Drawn | str:
    data = data_of(run)
    if data is None:
        return NotMeasured("no ticket was planted in this run")
    return Drawn(
        figure=draw_planted(data, run.labels),
        data=data,
        description=describe_planted(data, run.labels),
        caption=(
            "Mean over replicates, draws averaged first. Dashed: above, the planted ticket at its initial values; "
            "below, the share that a mask with as many survivors in each tensor keeps by chance. Dotted: the planted "
            "ticket's density. An arm that keeps what the ticket keeps has no line below."
        ),
        code=(
            f"data = report.planted_by_density(rounds, planted, share={run.rule.margin!r})\n"
            f"figure = report.draw_planted(data{run.labels_argument})"
        ),
    )


FIGURE = FigureRecord("planted", TITLE, _make)
