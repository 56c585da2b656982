"""The figure of the number of distinct hidden units during training, by start."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tickets.store.derived import is_dense

from ...why_random import MASKED, Study
from ..annotation import label_ends, short_names, short_title
from ..figure import Drawn, FigureRecord
from ..look import drawing
from ..panels import stacked
from ..ticks import plain_log
from .kinds import look_of_kind, right_of

_TICKS = (1.0, 2.0, 5.0)
_MEASURES = {"distinct": "distinct", "within": "distinct_within"}


def distinct_units(study: Study) -> pd.DataFrame:
    """Distinct units of a hidden layer at each evaluated step, over replicates and layers: a row per line and step.

    Each deterministic start and each start of equal units has a line (dense tickets); the random starts of a width
    have one together; and so has arm `constant` under the first masks of the random starts.

    Parameters
    ----------
    study : Study
        As `study_of` returns.

    Returns
    -------
    DataFrame
        Columns setting, line, kind, step, starts, networks, then mean, minimum and maximum over networks and layers of
        the units that are distinct bit for bit (distinct, distinct_least, distinct_most) and within the tolerance
        (within, within_least, within_most). Values that are not finite are left out.
    """
    units = _lines(study.starts).merge(study.units, on="run")
    dense = units[is_dense(units)]
    masked = units[(units["round"] == MASKED) & (units["arm"] == "constant") & units["unmasked"]]
    masked = masked.assign(kind="mask", line="equal weights, masked")
    rows = pd.concat([dense, masked], ignore_index=True)
    rows["network"] = rows["run"] + rows["replicate"].astype(str) + rows["draw"].astype(str)
    measured: dict[str, tuple[str, str]] = {}
    for name, column in _MEASURES.items():
        measured |= {name: (column, "mean"), f"{name}_least": (column, "min"), f"{name}_most": (column, "max")}
    counts = {"starts": ("run", "nunique"), "networks": ("network", "nunique")}
    keys = ["setting", "line", "kind", "step"]
    return rows.groupby(keys, sort=False).agg(**counts, **measured).reset_index()


def _lines(starts: pd.DataFrame) -> pd.DataFrame:
    """run, setting, kind, line and `unmasked` (whether the masks of the run are used) of each run."""
    keys = [starts[key] for key in ("setting", "kind", "widths", "dropout")]
    together = starts.groupby(keys)["run"].transform("size")
    alone = (starts["kind"] != "random") | (together == 1)
    brackets = starts["label"].str.extract(r"( \[.*\])$")[0].fillna("")
    line = starts["label"].where(alone, together.astype(str) + " random starts" + brackets)
    return starts[["run", "setting", "kind"]].assign(
        line=line, unmasked=(starts["kind"] == "random") & ~starts["noisy"]
    )


@drawing
def draw_distinct_units(data: pd.DataFrame) -> Figure:
    """Draw the table of `distinct_units`: solid within the tolerance, dashed bit for bit; a panel per setting."""
    settings = list(data["setting"].unique())
    names = short_names(data["line"])
    figure, grid = stacked([3.0] * len(settings), right=right_of(names.values(), 0.13))
    for axes, setting in zip(grid, settings, strict=True):
        here = data[data["setting"] == setting]
        axes.set_title(short_title(setting))
        axes.set_yscale("log")
        most = float(here[["distinct_most", "within_most"]].max().max())
        axes.set_ylim(0.8, most * 1.3)
        plain_log(axes.yaxis, _TICKS)
        axes.set(ylabel="distinct units of a layer", xlabel="step")
        ends, seen = [], dict.fromkeys(here["kind"].unique(), 0)
        for line in here["line"].unique():
            rows = here[here["line"] == line]
            kind = str(rows["kind"].iloc[0])
            look = look_of_kind(kind, seen[kind])
            seen[kind] += 1
            axes.fill_between(
                rows["step"], rows["within_least"], rows["within_most"], color=look.colour, alpha=0.12, linewidth=0
            )
            axes.plot(rows["step"], rows["distinct"], color=look.colour, linestyle=(0, (2, 2)), linewidth=1.1)
            axes.plot(rows["step"], rows["within"], color=look.colour, marker=look.marker, markevery=4)
            there = rows[rows["within"].notna()]
            if len(there):
                ends.append((names[line], float(there["step"].iloc[-1]), float(there["within"].iloc[-1]), look.colour))
        label_ends(axes, ends)
    return figure


def describe_distinct_units(data: pd.DataFrame) -> str:
    """The text alternative of the figure."""
    parts = []
    for setting, here in data.groupby("setting", sort=False):
        lines = []
        for line, rows in here.groupby("line", sort=False):
            last = rows.iloc[-1]
            counts = f"{last['within']:.3g} ({last['distinct']:.3g} bit for bit)"
            lines.append(f"{line} {'diverged' if np.isnan(last['within']) else counts}")
        parts.append(f"{setting}: {'; '.join(lines)}")
    steps = f"{data['step'].max():,.0f}"
    return (
        "Distinct hidden units of a layer against training step, within the tolerance and bit for bit, mean over "
        f"replicates and layers. After {steps} steps, {'. '.join(parts)}."
    )


def _make(study: Study) -> Drawn | str:
    data = distinct_units(study)
    if data.empty:
        return "no run has a hidden layer"
    return Drawn(
        figure=draw_distinct_units(data),
        data=data,
        description=describe_distinct_units(data),
        caption=(
            "Line: mean over replicates and layers, solid within the tolerance (a thousandth of the longest unit's "
            "length), dashed bit for bit. Band: minimum to maximum, within the tolerance. Random starts are shown "
            "together. Masked: all weights the same, under the first masks of the random starts. In brackets: unusual "
            "hidden layers, dropout."
        ),
        code="data = report.distinct_units(study)\nfigure = report.draw_distinct_units(data)",
    )


FIGURE = FigureRecord("distinct", "Distinct hidden units", _make)
