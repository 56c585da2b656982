"""Made-up configurations and tables of hidden units."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

MEASURES = (
    "distinct",
    "distinct_within",
    "spread",
    "distance_low",
    "distance_median",
    "distance_high",
    "effective_rank",
)


@pytest.fixture(scope="session")
def config():
    """config(init, widths=[8], data="digits", ...): a run's configuration, as saved."""

    def make(init="glorot_normal", widths=(8,), data="digits", steps=100, trained="all", arms=("ticket",), **model):
        whole = {"name": "mlp", "init": init, **({} if widths is None else {"widths": list(widths)}), **model}
        return {
            "seed": 0,
            "data": {"name": data, "validation": 200},
            "model": whole,
            "train": {"steps": steps, "optimizer": "adam"},
            "prune": {"rate": 0.2},
            "rewind": {"step": 0},
            "arms": [{"name": arm, "draws": 1} for arm in arms],
            "store": {"trained": trained, "units": True},
        }

    return make


@pytest.fixture(scope="session")
def units_of():
    """units_of([(step, layer, distinct, within, ...)], run="a", ...): a table of hidden units.

    Measures that are not given are NaN.
    """

    def make(rows, run="a", replicate=0, round=0, arm="ticket", width=4):
        key = {"run": run, "replicate": replicate, "round": round, "density": 1.0, "arm": arm, "draw": 0}
        made = []
        for step, layer, *values in rows:
            padded = [*values, *[np.nan] * (len(MEASURES) - len(values))]
            made.append(
                {**key, "step": step, "layer": layer, "width": width, **dict(zip(MEASURES, padded, strict=True))}
            )
        return pd.DataFrame(made)

    return make
