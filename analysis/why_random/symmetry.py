"""Whether equal hidden units stay equal: distinct units at the start and the end, and when units first differ."""

from __future__ import annotations

import pandas as pd

NETWORK = ["run", "replicate", "round", "arm", "draw"]

_COLUMNS = [
    *NETWORK, "layers", "width", "distinct_start", "distinct_most", "distinct_end", "within_start", "within_most",
    "within_end", "within_end_least", "apart", "apart_within", "spread_end", "lost",
]  # fmt: skip


def symmetry(units: pd.DataFrame) -> pd.DataFrame:
    """Summarise the hidden units of each network: a row per run, replicate, round, arm and draw.

    Distinct units are counted bit for bit (`distinct`) and within the tolerance (`within`). The start is the first
    evaluated step, the end the last.

    Parameters
    ----------
    units : DataFrame
        Rows of `Saved.units`.

    Returns
    -------
    DataFrame
        | column | content |
        | --- | --- |
        | layers, width | number of hidden layers; units of the widest one |
        | distinct_start, _most, _end; within_start, _most, _end | maximum over layers; `_most`: over steps too |
        | within_end_least | minimum over layers |
        | apart, apart_within | first evaluated step with more distinct units in a layer than at the start; NaN: none |
        | spread_end | maximum over layers |
        | lost | whether a value was not finite at some step; counts, which are NaN there, are of the other steps |
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
