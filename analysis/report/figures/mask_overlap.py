"""The figure of the overlap of masks between replicates, arms and rounds, from the table of the probe `overlap`."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ..figure import Drawn, FigureRecord, NotMeasured
from ..run_data import RunData
from .between_networks import RANGES, PairsLook, courses, draw_over_pairs, over_pairs, pairs_text, range_text

_LOOK = PairsLook(
    "overlap (Jaccard)",
    {
        "replicates": "between replicates",
        "arms": "with the ticket's mask",
        "rounds": "with the mask of the round before",
    },
    high=1.0,
    chance=True,
)


def mask_overlaps(table: pd.DataFrame) -> pd.DataFrame:
    """Mean overlap of masks by kind of pair, arm and round, of all prunable weights together.

    Parameters
    ----------
    table : DataFrame
        The rows of one run of the probe `overlap`.

    Returns
    -------
    DataFrame
        Columns between, arm, round, density, pairs, mean, least, most (of the Jaccard index) and chance (mean).
    """
    whole = table[table["tensor"] == "all"].rename(columns={"by_chance": "chance"})
    return over_pairs(whole, "jaccard", ["chance"])


def draw_mask_overlaps(data: pd.DataFrame) -> Figure:
    """Draw the table of `mask_overlaps`: a panel per kind of pair; dashed, what random masks have."""
    return draw_over_pairs(data, _LOOK)


def describe_mask_overlaps(data: pd.DataFrame) -> str:
    """The text alternative of the figure."""
    return (
        f"Overlap (Jaccard index) of two masks against {range_text(data)}; mean over {pairs_text(data)}. "
        f"{courses(data, _LOOK, '.3f')}."
    )


def _make(run: RunData) -> Drawn | str:
    table = run.probe("overlap", ["between", "tensor", "jaccard", "by_chance"])
    if table is None:
        return NotMeasured("the probe 'overlap' was not measured")
    data = mask_overlaps(table)
    if data["mean"].isna().all():
        return "no mask keeps a weight" if len(data) else "it takes two replicates, another round or an arm with masks"
    return Drawn(
        figure=draw_mask_overlaps(data),
        data=data,
        description=describe_mask_overlaps(data),
        caption=(
            "|A and B| / |A or B| of all prunable weights. Dashed: expected of masks at random places that keep as "
            f"many of each tensor. Nested masks overlap by the ratio of their densities. {RANGES}"
        ),
        code=(
            'data = report.mask_overlaps(report.read_probe(saved, run, "overlap"))\n'
            "figure = report.draw_mask_overlaps(data)"
        ),
    )


FIGURE = FigureRecord("mask_overlap", "Overlap of masks between replicates, arms and rounds", _make)
