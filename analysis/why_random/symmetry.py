"""Whether hidden units that are alike stay alike: distinct units at the start, at the end, and when they came apart."""

from __future__ import annotations

import pandas as pd

NETWORK = ["run", "replicate", "round", "arm", "draw"]

_COLUMNS = [
    *NETWORK, "layers", "width", "distinct_start", "distinct_most", "distinct_end", "within_start", "within_most",
    "within_end", "within_end_least", "apart", "apart_within", "spread_end", "lost",
]  # fmt: skip


def symmetry(units: pd.DataFrame) -> pd.DataFrame:
    """What became of the hidden units of each network: a row per run, replicate, round, arm and draw.

    units: as `Saved.units`, or rows of it. Counts of distinct units are bit for bit (`distinct`) and within its
    tolerance (`within`); the start is the first evaluated step, the end the last.

    | column | is |
    | --- | --- |
    | layers, width | hidden layers; the widest one's units |
    | distinct_start, _most, _end; within_start, _most, _end | the most of any layer; `_most`: at any step |
    | within_end_least | the fewest of any layer |
    | apart, apart_within | first evaluated step with more distinct units than the layer had at the start; NaN: none |
    | spread_end | of any layer the largest |
    | lost | a number was not finite at some step (counts, which are NaN there, are of the others) |
    """
    if units.empty:
        return pd.DataFrame(columns=_COLUMNS)
    by_layer = units.groupby([*NETWORK, "layer"], sort=False)
    apart = {
        name: units["step"].where(units[column] > by_layer[column].transform("first"))
        for name, column in (("apart", "distinct"), ("apart_within", "distinct_within"))
    }
    layers = by_layer.agg(
        width=("width", "first"),
        distinct_start=("distinct", "first"),
        distinct_most=("distinct", "max"),
        distinct_end=("distinct", "last"),
        within_start=("distinct_within", "first"),
        within_most=("distinct_within", "max"),
        within_end=("distinct_within", "last"),
        spread_end=("spread", "last"),
        lost=("distinct", lambda counts: bool(counts.isna().any())),
    ).reset_index()
    for name, steps in apart.items():
        layers[name] = steps.groupby([units[key] for key in (*NETWORK, "layer")], sort=False).min().to_numpy()
    networks = layers.groupby(NETWORK, sort=False)
    largest = [name for name in _COLUMNS if name in layers and name not in (*NETWORK, "apart", "apart_within")]
    table = networks[largest].max()
    table["layers"] = networks.size()
    table["within_end_least"] = networks["within_end"].min()
    table[["apart", "apart_within"]] = networks[["apart", "apart_within"]].min()
    return table.reset_index()[_COLUMNS]
