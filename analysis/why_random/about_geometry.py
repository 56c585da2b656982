"""The claims about what a layer passes on before any training."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ..words import counted, listed
from .claim import Claim, cannot_tell
from .geometry import geometry
from .held import NOT, SHOWN, Held, together
from .study import Study
from .words import span

TABLE = "distances"

DISTINCT = "A layer of units that differ keeps distinct inputs distinct"
ONE = "A layer of equal units passes on one direction at most"

EVEN = 0.5
"""A layer keeps inputs distinct if 19 of 20 pairs keep at least this share of what the median pair keeps."""

_ONE = 1.001  # an effective rank of 1, but for rounding


def keeps_distances(study: Study, setting: str) -> Iterator[Claim]:
    """By kind of start: does the interval of `evenness` lie above EVEN, in each layer of each start?

    Shown not to hold if each of them lies below.
    """
    layers = _layers(study, setting)
    unlike = layers[layers["kind"] != "equal"]
    if unlike.empty:
        yield cannot_tell("distances", setting, DISTINCT, "no run has hidden units that start unlike", TABLE)
    for kind, rows in unlike.groupby("kind", sort=False):
        low, high = rows["evenness_low"], rows["evenness_high"]
        found = _held(low > EVEN, high < EVEN)
        intervals = f"intervals from {low.min():.2f} to {high.max():.2f}" if low.notna().any() else "no interval"
        evidence = (
            f"{listed(list(rows['label'].unique()))}, {counted(len(rows), 'layer')}: 19 of 20 pairs of inputs keep at "
            f"least {span(rows['evenness'], '.2f')} of what the median pair keeps ({intervals}; {EVEN:g} is asked "
            f"for); effective rank {span(rows['effective_rank'], '.1f')}."
        )
        yield Claim("distances", setting, DISTINCT, together(found), evidence, TABLE, f"{kind} starts")


def one_direction(study: Study, setting: str) -> Iterator[Claim]:
    """Is the effective rank of every layer of every equal start at most 1?"""
    layers = _layers(study, setting)
    rows = layers[(layers["kind"] == "equal") & layers["effective_rank"].notna()]
    if rows.empty:
        yield cannot_tell("one_direction", setting, ONE, "no run starts with equal units", TABLE)
        return
    # All replicates of an equal start are the same, but for the inputs.
    found = _held(rows["rank_high"] <= _ONE, rows["rank_low"] > _ONE)
    others = layers.loc[layers["kind"] == "random", "effective_rank"]
    beside = f"; of random starts {span(others, '.1f')}" if len(others) else ""
    evidence = (
        f"Effective rank of the outputs {span(rows['effective_rank'], '.3g')} in {counted(len(rows), 'layer')} of "
        f"{listed(list(rows['label'].unique()))}{beside}."
    )
    yield Claim("one_direction", setting, ONE, together(found), evidence, TABLE)


def _layers(study: Study, setting: str) -> pd.DataFrame:
    starts = study.starts[study.starts["setting"] == setting]
    return starts[["run", "kind", "label"]].merge(geometry(study.units), on="run")


def _held(yes: pd.Series[bool], no: pd.Series[bool]) -> list[Held]:
    return [SHOWN if shown else NOT if refuted else "cannot tell" for shown, refuted in zip(yes, no, strict=True)]
