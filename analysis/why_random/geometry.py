"""How evenly each layer preserves the distances between inputs, before any training."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tickets.store.derived import is_dense

from ..intervals import paired_interval

_DISTANCES = ["distance_low", "distance_median", "distance_high"]


def geometry(units: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """How the layers of the dense tickets change distances at their first evaluated step: a row per run and layer.

    The evenness of a layer is distance_low / distance_median: of the ratios of distances after and before the layer,
    the 5 % quantile over the median. It is 1 for a scaled isometry, and 0 where one pair in twenty coincides after the
    layer, or half of all do. It is NaN where all inputs of the layer are equal, so that no pair has a distance.

    Parameters
    ----------
    units : DataFrame
        Rows of `Saved.units`.
    confidence : float
        Of the intervals, in (0, 1).

    Returns
    -------
    DataFrame
        Columns run, layer, place (1 is the first hidden layer), width, n (replicates with a value), evenness,
        evenness_low, evenness_high, distance_low, distance_median, distance_high, effective_rank, rank_low, rank_high:
        means over replicates, and t-intervals.
    """
    dense = units[is_dense(units)]
    first = dense[dense["step"] == dense.groupby("run")["step"].transform("min")]
    median = first["distance_median"]
    ratio = (first["distance_low"] / median.where(median > 0)).where(median != 0, 0.0)
    rows = []
    for (run, layer), group in first.assign(evenness=ratio).groupby(["run", "layer"], sort=False):
        evenness = [float(value) for value in paired_interval(group["evenness"].to_numpy(), confidence)]
        rank = [float(value) for value in paired_interval(group["effective_rank"].to_numpy(), confidence)]
        distances = [float(group[name].mean()) for name in _DISTANCES]
        n = int(np.isfinite(group["effective_rank"]).sum())
        rows.append((run, layer, int(group["width"].iloc[0]), n, *evenness, *distances, *rank))
    names = ["evenness", "evenness_low", "evenness_high", *_DISTANCES, "effective_rank", "rank_low", "rank_high"]
    table = pd.DataFrame(rows, columns=["run", "layer", "width", "n", *names])
    table.insert(2, "place", table.groupby("run").cumcount() + 1)
    return table
