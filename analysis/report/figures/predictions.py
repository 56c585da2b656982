"""The figure of how far two networks' predictions differ, from the table of the probe `predictions`."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ..figure import Drawn, FigureRecord, NotMeasured
from ..run_data import RunData
from .between_networks import RANGES, PairsLook, courses, draw_over_pairs, over_pairs, pairs_text, range_text

_TITLES = {
    "replicates": "between replicates",
    "arms": "with the ticket",
    "dense": "with the dense network",
}
_CLASSES = PairsLook("disagreement, %", _TITLES, 100.0, 100.0)
_NUMBERS = PairsLook("squared difference", _TITLES)


def disagreements(table: pd.DataFrame) -> pd.DataFrame:
    """Mean difference of two networks' predictions by kind of pair, arm and round.

    Parameters
    ----------
    table : DataFrame
        The rows of one run of the probe `predictions`.

    Returns
    -------
    DataFrame
        Columns between, arm, round, density, pairs, mean, least, most (of the column that `measure` names: the share
        of examples that the two classify differently, or the mean squared difference of outputs), kl, kl_reverse,
        ensemble_gain (means) and measure.
    """
    measure = "squared_difference" if table["squared_difference"].notna().any() else "disagreement"
    return over_pairs(table, measure, ["kl", "kl_reverse", "ensemble_gain"]).assign(measure=measure)


def draw_disagreements(data: pd.DataFrame) -> Figure:
    """Draw the table of `disagreements`: a panel per kind of pair."""
    return draw_over_pairs(data, _look(data))


def describe_disagreements(data: pd.DataFrame) -> str:
    """The text alternative of the figure."""
    look = _look(data)
    share = "Share of test examples that two networks classify differently, in percent,"
    what = share if look is _CLASSES else "Mean squared difference of two networks' outputs for the test examples"
    lowest = data[data["mean"].notna()].groupby(["between", "arm"], sort=False).tail(1)
    gains = [
        f"{row['arm']}, {look.titles[row['between']]}: {row['ensemble_gain']:+.3f}" for row in lowest.to_dict("records")
    ]
    return (
        f"{what} against {range_text(data)}; mean over {pairs_text(data)}. {courses(data, look, '.3g')}. Gain of the "
        f"ensemble of two at the lowest density: {'; '.join(gains)}."
    )


def _look(data: pd.DataFrame) -> PairsLook:
    return _CLASSES if (data["measure"] == "disagreement").all() else _NUMBERS


def _make(run: RunData) -> Drawn | str:
    needed = ["between", "disagreement", "kl", "kl_reverse", "squared_difference", "ensemble_gain"]
    table = run.probe("predictions", needed)
    if table is None:
        return NotMeasured("the probe 'predictions' was not measured")
    data = disagreements(table)
    if data["mean"].isna().all():
        return "no pair of networks has one: a network of each diverged" if len(data) else "no pair was met"
    return Drawn(
        figure=draw_disagreements(data),
        data=data,
        description=describe_disagreements(data),
        caption=(
            "On the test examples. Networks of one function agree, and gain nothing as an ensemble (columns kl and "
            f"ensemble_gain, beside it in the table). {RANGES}"
        ),
        code=(
            'data = report.disagreements(report.read_probe(saved, run, "predictions"))\n'
            "figure = report.draw_disagreements(data)"
        ),
    )


FIGURE = FigureRecord("predictions", "Differences of predictions", _make)
