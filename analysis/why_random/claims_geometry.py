"""The claims about what a layer passes on before any training."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from tickets.plurals import counted

from ..text import listed
from .claim import Claim, Finding, absent
from .geometry import geometry
from .study import Study
from .text import span
from .verdict import each, together

TABLE = "distances"

EVEN = 0.5
"""A layer keeps inputs distinct if 19 of 20 pairs keep at least this share of the median pair's ratio of distances."""

_ONE = 1.001  # an effective rank of 1, up to rounding


def _keeps_distances(study: Study, setting: str, rows: pd.DataFrame) -> Iterator[Finding]:
    """By kind of start: does the interval of `evenness` lie above EVEN, in each layer of each start?

    Refuted if it lies below in each of them.
    """
    layers = _layers(study, setting)
    unlike = layers[layers["kind"] != "equal"]
    if unlike.empty:
        yield absent("no run has hidden units that start unlike")
    for kind, group in unlike.groupby("kind", sort=False):
        low, high = group["evenness_low"], group["evenness_high"]
        intervals = f"intervals from {low.min():.2f} to {high.max():.2f}" if low.notna().any() else "no interval"
        evidence = (
            f"{listed(list(group['label'].unique()))}, {counted(len(group), 'layer')}: 19 of 20 pairs of inputs keep "
            f"at least {span(group['evenness'], '.2f')} of the median pair's ratio of distances ({intervals}; "
            f"required: {EVEN:g}); effective rank {span(group['effective_rank'], '.1f')}."
        )
        yield Finding(together(each(low > EVEN, high < EVEN)), evidence, f"{kind} starts")


def _one_direction(study: Study, setting: str, rows: pd.DataFrame) -> Iterator[Finding]:
    """Is the effective rank of every layer of every equal start at most 1?"""
    layers = _layers(study, setting)
    equal = layers[(layers["kind"] == "equal") & layers["effective_rank"].notna()]
    if equal.empty:
        yield absent("no run starts with equal units")
        return
    # The replicates of an equal start differ in their inputs alone.
    verdicts = each(equal["rank_high"] <= _ONE, equal["rank_low"] > _ONE)
    others = layers.loc[layers["kind"] == "random", "effective_rank"]
    beside = f"; of random starts {span(others, '.1f')}" if len(others) else ""
    evidence = (
        f"Effective rank of the outputs {span(equal['effective_rank'], '.3g')} in {counted(len(equal), 'layer')} of "
        f"{listed(list(equal['label'].unique()))}{beside}."
    )
    yield Finding(together(verdicts), evidence)


KEEPS_DISTANCES = Claim(
    "distances", "A layer of units that differ keeps distinct inputs distinct", TABLE, _keeps_distances
)
ONE_DIRECTION = Claim("one_direction", "A layer of equal units passes on at most one direction", TABLE, _one_direction)


def _layers(study: Study, setting: str) -> pd.DataFrame:
    starts = study.starts[study.starts["setting"] == setting]
    return starts[["run", "kind", "label"]].merge(geometry(study.units), on="run")
