"""The figure of error barriers on lines between networks, from the table of the probe `connectivity`."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ..figure import Drawn, FigureRecord, NotMeasured
from ..run_data import RunData
from .between_networks import RANGES, PairsLook, courses, draw_over_pairs, over_pairs, pairs_text, range_text

STABLE = 0.02  # of error; tickets.probes.connectivity has it too, and imports torch

_TITLES = {
    "order": "between data orders",
    "rounds": "between a round and the one before",
    "dense": "to the dense network",
}
_ERROR = PairsLook("barrier, points", _TITLES, 100.0, 100.0, (STABLE, "stable below"))
_LOSS = PairsLook("barrier of the loss", _TITLES)


def barriers(table: pd.DataFrame) -> pd.DataFrame:
    """Mean barrier by kind of pair, arm and round.

    Parameters
    ----------
    table : DataFrame
        The rows of one run of the probe `connectivity`.

    Returns
    -------
    DataFrame
        Columns between, arm, round, density, pairs, mean, least, most (of the barrier), excess, stable (share of the
        pairs), loss_barrier (means) and metric.
    """
    data = over_pairs(table, "barrier", ["excess", "stable", "loss_barrier"])
    return data.assign(metric=table["metric"].iloc[0] if len(table) else "error")


def draw_barriers(data: pd.DataFrame) -> Figure:
    """Draw the table of `barriers`: a panel per kind of pair, the threshold of stability dashed."""
    return draw_over_pairs(data, _look(data))


def describe_barriers(data: pd.DataFrame) -> str:
    """The text alternative of the figure."""
    look = _look(data)
    unit = "error, in percentage points" if look is _ERROR else "the loss"
    return (
        f"Barrier of {unit}, on the straight line between two networks, against {range_text(data)}; mean over "
        f"{pairs_text(data)}. {courses(data, look, '.3g')}."
    )


def _look(data: pd.DataFrame) -> PairsLook:
    return _LOSS if (data["metric"] == "loss").any() else _ERROR


def _make(run: RunData) -> Drawn | str:
    table = run.probe("connectivity", ["between", "barrier", "excess", "stable", "loss_barrier", "metric"])
    if table is None:
        return NotMeasured("the probe 'connectivity' was not measured")
    data = barriers(table)
    if data["mean"].isna().all():
        return "no pair of networks has one: every line has a network that diverged" if len(data) else "no pair was met"
    recomputed = " Statistics of batch normalisation are recomputed at each point."
    kept = " Statistics of batch normalisation are interpolated."
    norms = {"recomputed": recomputed, "interpolated": kept, "none": ""}[str(table["batch_norm"].iloc[0])]
    stable = " Stable: below 2 points." if _look(data) is _ERROR else ""
    return Drawn(
        figure=draw_barriers(data),
        data=data,
        description=describe_barriers(data),
        caption=(
            f"The highest {data['metric'].iloc[0]} on the test set on the line between two networks of one replicate, "
            f"minus the mean of the ends (Frankle et al. 2020).{stable}{norms} Against the dense network also an error "
            f"that falls steadily has a barrier; the column excess, measured from the line between the two errors, has "
            f"none there. {RANGES}"
        ),
        code=(
            'data = report.barriers(report.read_probe(saved, run, "connectivity"))\nfigure = report.draw_barriers(data)'
        ),
    )


FIGURE = FigureRecord("connectivity", "Barriers between networks", _make)
