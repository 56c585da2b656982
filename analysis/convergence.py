"""How networks converge: what the probes `convergence` and `gram` measured, and claims that need both."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tickets.catalogue import PROBES
from tickets.config.signatures import options_of
from tickets.store.derived import is_dense
from tickets.store.swept import as_number

from .intervals import paired_interval

if TYPE_CHECKING:
    from tickets.store import Saved

CONVERGENCE, GRAM = "convergence", "gram"

_NETWORK = ["run", "replicate"]
_REACHED = ["training_loss", "reached", "steps", "rate", "relative_distance"]
_OF_GRAM = {
    "smallest": "smallest",
    "largest": "largest",
    "change": "change",
    "rate": "predicted_rate",
    "steps": "predicted_steps",
}
COLUMNS = [*_NETWORK, *_REACHED, *_OF_GRAM.values()]
TENTH = 1.1
"""A prediction of steps holds if the steps taken are at most so many times it, and at least 2 - 1.1 = 0.9 times."""


def why_no_convergence(saved: Saved, without: Collection[str] = ()) -> str | None:
    """Why a campaign has no table of `converging`, or None if it has one. without: runs to leave out."""
    if not _runs(saved, without):
        return 'no run measures its convergence; set probes = ["convergence", "gram"]'
    return None


def converging(saved: Saved, without: Collection[str] = ()) -> pd.DataFrame:
    """What was measured of the convergence of each dense network: a row per run and replicate.

    Parameters
    ----------
    saved : Saved
        The campaign.
    without : collection of str
        Runs to leave out.

    Returns
    -------
    DataFrame
        | column | content |
        | --- | --- |
        | run, replicate | the network |
        | training_loss, reached, steps, rate, relative_distance | of the probe `convergence`, at the last step |
        | smallest, largest, change, predicted_rate, predicted_steps | of the probe `gram`; NaN where there is none |

    Raises
    ------
    InputError
        If a run is damaged.
    """
    parts = [converging_of_run(saved, run) for run in _runs(saved, without)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def converging_of_run(saved: Saved, run: str) -> pd.DataFrame:
    """The rows of `converging` of one run; none if it lacks the probe `convergence`."""
    if run not in saved.probes.get(CONVERGENCE, ()):
        return pd.DataFrame(columns=COLUMNS)
    measured = saved.probe(CONVERGENCE, run)
    dense = measured[is_dense(measured) & (measured["draw"] == 0)]
    last = dense.sort_values("step").groupby(_NETWORK, sort=False).tail(1)[[*_NETWORK, *_REACHED]]
    if run not in saved.probes.get(GRAM, ()):
        return last.assign(**dict.fromkeys(_OF_GRAM.values(), np.nan)).sort_values(_NETWORK, ignore_index=True)
    gram = saved.probe(GRAM, run)
    kernel = gram[is_dense(gram) & (gram["draw"] == 0)].rename(columns=_OF_GRAM)
    both = last.merge(kernel[[*_NETWORK, *_OF_GRAM.values()]], on=_NETWORK, how="left")
    return both.sort_values(_NETWORK, ignore_index=True)


def width_of(config: Mapping[str, Any]) -> float | None:
    """The width of a run's hidden layers, if they have one in common. config: the run's, as `Saved.config`."""
    return as_number(config["model"].get("widths"))


def level_of(config: Mapping[str, Any]) -> float:
    """The training loss that the probe `convergence` of a run waits for."""
    usual = options_of(PROBES[CONVERGENCE].target)["loss"].default
    given = [probe for probe in config.get("probes", ()) if isinstance(probe, Mapping) and probe["name"] == CONVERGENCE]
    return float(given[0].get("loss", usual) if given else usual)


def as_predicted(saved: Saved, run: str) -> dict[str, Any]:
    """Claim: the linearised network predicts the steps to the loss within a tenth.

    The estimate is the ratio of the steps that a network took and those that its Gram matrix predicts, both read at
    evaluated steps, the geometric mean over replicates with its 95 % t-interval. `yes` if the interval lies within 0.9
    to 1.1, `no` if it lies outside. A network that did not reach the loss was slower than predicted if it was trained
    for 1.1 times the predicted steps; after fewer, `cannot tell`.
    """
    table = converging_of_run(saved, run)
    if len(table) == 0 or table["predicted_steps"].isna().all():
        why = "No replicate has a prediction, which needs the probe gram of all training examples"
        return {"answer": "cannot tell", "why": f"{why} and a loss that the linearised network reaches."}
    train = saved.config(run)["train"]
    every, trained = int(train["evaluate_every"]), int(train["steps"])
    predicted = np.ceil(table["predicted_steps"].to_numpy(np.float64) / every) * every
    lost = table["steps"].isna().to_numpy()
    if lost.any():
        why = f"{lost.sum()} of {len(table)} networks did not reach the loss"
        if (TENTH * predicted[lost] <= trained).any():
            return {"answer": "no", "n": len(table), "why": f"{why}."}
        return {"answer": "cannot tell", "why": f"{why} in {trained} steps, which are too few for the predicted ones."}
    # A network that begins below the loss takes no step: one, so that it has a logarithm.
    ratio = np.log(np.maximum(table["steps"].to_numpy(np.float64), 1) / np.maximum(predicted, 1))
    value, low, high = (math.exp(part) for part in paired_interval(ratio, 0.95))
    inside, outside = low >= 2 - TENTH and high <= TENTH, low > TENTH or high < 2 - TENTH
    steps = ", ".join(f"{one:.0f} / {other:.0f}" for one, other in zip(table["steps"], predicted, strict=True))
    return {
        "answer": "yes" if inside else "no" if outside else "cannot tell",
        "estimate": value,
        "low": low,
        "high": high,
        "n": int(np.isfinite(ratio).sum()),
        "density": 1.0,
        "why": f"Steps taken / predicted: {steps}. Their ratio, geometric mean: {value:.3f} [{low:.3f}, {high:.3f}].",
    }


def no_slower_than_predicted(saved: Saved, run: str) -> dict[str, Any]:
    """Claim: the loss falls at least as fast as the smallest eigenvalue of the Gram matrix predicts.

    The estimate is the fitted rate minus the predicted one, the mean over replicates with its 95 % t-interval.
    """
    table = converging_of_run(saved, run)
    difference = (table["rate"] - table["predicted_rate"]).to_numpy(np.float64)
    value, low, high = (float(part) for part in paired_interval(difference, 0.95))
    if math.isnan(value):
        return {
            "answer": "cannot tell",
            "why": "No replicate has both rates: the fitted one needs the probe convergence and three evaluated steps "
            "in the later half of training, the predicted one the probe gram of all training examples.",
        }
    rates = f"Fitted {table['rate'].mean():.3g}, predicted {table['predicted_rate'].mean():.3g} a step"
    return {
        "answer": "yes" if low >= 0 else "no" if high < 0 else "cannot tell",
        "estimate": value,
        "low": low,
        "high": high,
        "n": int(np.isfinite(difference).sum()),
        "density": 1.0,
        "why": f"{rates}; difference {value:.3g} [{low:.3g}, {high:.3g}].",
    }


def _runs(saved: Saved, without: Collection[str]) -> list[str]:
    """The runs that have rows of the probe's table."""
    return [run for run in saved.probes.get(CONVERGENCE, ()) if run not in without]
