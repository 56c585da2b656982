"""How evenly each layer keeps the distances between inputs, before any training."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..intervals import paired_interval

_DISTANCES = ["distance_low", "distance_median", "distance_high"]


def geometry(units: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """What the layers of the dense tickets do to distances at their first evaluated step: a row per run and layer.

    units: as `Saved.units`, or rows of it. Columns: run, layer, place (1 is the first hidden layer), width, n
    (replicates with a number), evenness, evenness_low, evenness_high, distance_low, distance_median, distance_high,
    effective_rank, rank_low, rank_high; means over replicates, with Student's interval.

    evenness = distance_low / distance_median, the 5 % quantile of the ratios of distances after and before the layer
    over their median: 1 for a scaled isometry; 0 where one pair in twenty falls together, or half of all do. NaN
    where all inputs of the layer are the same, and so no pair has a distance.
    """
    dense = units[(units["round"] == 0) & (units["arm"] == "ticket")]
    first = dense[dense["step"] == dense.groupby("run")["step"].transform("min")]
    median = first["distance_median"]
    ratio = (first["distance_low"] / median.where(median > 0)).where(median != 0, 0.0)
    rows = []
    for (run, layer), part in first.assign(evenness=ratio).groupby(["run", "layer"], sort=False):
        evenness = [float(value) for value in paired_interval(part["evenness"].to_numpy(), confidence)]
        rank = [float(value) for value in paired_interval(part["effective_rank"].to_numpy(), confidence)]
        distances = [float(part[name].mean()) for name in _DISTANCES]
        n = int(np.isfinite(part["effective_rank"]).sum())
        rows.append((run, layer, int(part["width"].iloc[0]), n, *evenness, *distances, *rank))
    names = ["evenness", "evenness_low", "evenness_high", *_DISTANCES, "effective_rank", "rank_low", "rank_high"]
    table = pd.DataFrame(rows, columns=["run", "layer", "width", "n", *names])
    table.insert(2, "place", table.groupby("run").cumcount() + 1)
    return table
