"""Claims about initial values that no interval of differences answers: functions for `function = "..."` in [[claim]].

Each is called as NAME(saved, run), where saved is a `Saved` and run the id of one of its runs, and returns what a
claim's function returns: `answer`, `estimate`, `low`, `high`, `n`, `density` and `why`.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from tickets.plurals import counted
from tickets.store import Saved

from .ends import ends, why_no_ends
from .geometry import geometry
from .span import span

EVEN = 0.5
"""A layer keeps inputs distinct if 19 of 20 pairs keep at least this share of the median pair's ratio of distances."""
ONE = 1.001
"""An effective rank of 1, up to rounding."""

_FEWEST = 2  # pairs, for a claim about all pairs


def keeps_distances(saved: Saved, run: str) -> dict[str, Any]:
    """Whether, before training, each hidden layer's `evenness` is above EVEN; no, if one layer's is below."""
    layers = _layers(saved, run)
    if layers.empty:
        return _cannot_tell("no hidden units were counted")
    found = _each_layer(layers["evenness_low"] > EVEN, layers["evenness_high"] < EVEN)
    worst = layers.sort_values("evenness", na_position="first").iloc[0]
    why = (
        f"19 of 20 pairs of inputs keep at least {span(layers['evenness'], '.2f')} of the median pair's ratio of "
        f"distances in {counted(len(layers), 'layer')}, n = {worst['n']}; required: {EVEN:g}; effective rank "
        f"{span(layers['effective_rank'], '.1f')}"
    )
    return {"answer": found, **_of_layer(worst, "evenness", "evenness_low", "evenness_high"), "why": why}


def one_direction(saved: Saved, run: str) -> dict[str, Any]:
    """Whether, before training, each hidden layer's outputs have an effective rank of at most 1."""
    layers = _layers(saved, run)
    if layers.empty:
        return _cannot_tell("no hidden units were counted")
    found = _each_layer(layers["rank_high"] <= ONE, layers["rank_low"] > ONE)
    highest = layers.sort_values("effective_rank", na_position="first").iloc[-1]
    ranks = span(layers["effective_rank"], ".3g")
    why = f"effective rank {ranks} in {counted(len(layers), 'layer')}, n = {highest['n']}"
    return {"answer": found, **_of_layer(highest, "effective_rank", "rank_low", "rank_high"), "why": why}


def other_ends(saved: Saved, run: str) -> dict[str, Any]:
    """Whether dense trainings in another data order, or from another start, end at other numbers, in every pair."""
    lacking = why_no_ends(saved.config(run))
    if lacking is not None:
        return _cannot_tell(lacking)
    pairs = ends(saved, run)
    start, order = pairs["same_start"].astype(bool), pairs["same_order"].astype(bool)
    unlike = pairs[~(start & order)]
    if len(unlike) < _FEWEST:
        return _cannot_tell(f"{counted(len(unlike), 'pair')} with another order or start")
    same = unlike["identical"].astype(bool)
    ways = (("other order", start & ~order), ("other start", ~start & order), ("both other", ~start & ~order))
    texts = [
        f"{name} {pairs.loc[chosen, 'distance'].mean():.2f} ({span(pairs.loc[chosen, 'distance'], '.2f')})"
        for name, chosen in ways
        if chosen.any()
    ]
    why = (
        f"ends differ in {(~same).sum()} of {counted(len(unlike), 'pair')}; distance between ends / distance "
        f"travelled, mean (range): {'; '.join(texts)}"
    )
    answer = "yes" if not same.any() else "no" if same.all() else "cannot tell"
    return {"answer": answer, "estimate": unlike["distance"].mean(), "n": len(unlike), "density": 1.0, "why": why}


def _layers(saved: Saved, run: str) -> pd.DataFrame:
    if run not in saved.probes.get("units", ()):
        return pd.DataFrame()
    return geometry(saved.probe("units", run))


def _each_layer(yes: pd.Series[bool], no: pd.Series[bool]) -> str:
    return "no" if no.any() else "yes" if yes.all() else "cannot tell"


def _of_layer(layer: pd.Series[Any], value: str, low: str, high: str) -> dict[str, Any]:
    return {"estimate": layer[value], "low": layer[low], "high": layer[high], "n": int(layer["n"]), "density": 1.0}


def _cannot_tell(why: str) -> dict[str, Any]:
    return {"answer": "cannot tell", "why": why}
