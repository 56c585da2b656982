"""Approximations of one network with many numbers of candidates and distributions: a table of errors and accuracies."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from tickets.approximation.construction import Settings
from tickets.approximation.existence import Fit, fitted, reach_table, share_interval, simulated_errors
from tickets.approximation.listener import Listener
from tickets.approximation.measuring import bounds_of, outputs_of, sizes_of, weights_of
from tickets.approximation.network import fill, skeleton
from tickets.approximation.saved_target import SavedTarget, Which, read_target
from tickets.approximation.search import find_all
from tickets.approximation.subset_sum import Subsets
from tickets.approximation.values import DISTRIBUTIONS
from tickets.errors import InputError
from tickets.importing import current_folder, importable
from tickets.machine import cores
from tickets.process_state import one_campaign_at_a_time, standard_state

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 1000  # weights of the network in a simulation
REACH_DRAWS = 200  # draws of candidates of which all sums are listed
REACH_COUNTS = range(2, 17)
REACH_TOLERANCES = (0.1, 0.03, 0.01, 0.003, 0.001)
COUNTS = (2, 4, 6, 8, 10, 12, 15, 18, 21, 24)


@dataclass(frozen=True)
class Sweep:
    """The tables of a sweep.

    Attributes
    ----------
    target
        The saved network: run, replicate, round, arm, draw.
    networks
        A row per distribution, number of candidates and tolerance: what `tickets approximate --json` measures of the
        network, and `exists`, `exists_low`, `exists_high`: the simulated probability that a weight of the target has a
        subset within the tolerance.
    every
        See `tickets.approximation.existence.reach_table`.
    fit
        The theorem's bound for uniform values, with fitted constants; None if it could not be fitted.
    """

    target: dict[str, Any]
    networks: pd.DataFrame
    every: pd.DataFrame
    fit: Fit | None

    def needed(self, tolerance: float) -> float | None:
        """The number of uniform candidates of the fitted bound."""
        return None if self.fit is None else self.fit.needed(tolerance)


def sweep(
    folder: str | Path,
    candidates: Sequence[int],
    tolerances: Sequence[float],
    values: Sequence[str] = tuple(DISTRIBUTIONS),
    *,
    replicate: int = 0,
    round: int = 0,
    arm: str = "ticket",
    draw: int = 0,
    construction: str = "weight",
    seed: int = 0,
    data: str | Path | None = None,
    trust_code: bool | Collection[str] = False,
    listener: Listener | None = None,
) -> Sweep:
    """Approximate a saved network with several numbers of candidates and distributions. Nothing is saved.

    Parameters
    ----------
    folder, construction, replicate, round, arm, draw, seed, data, trust_code, listener
        As in `tickets.approximate`. The nearest subsets are taken, whatever the tolerance is.
    candidates, tolerances, values
        All combinations of these.

    Raises
    ------
    InputError
        If the input is wrong.
    """
    import pandas as pd

    every_setting = [
        Settings(count, min(tolerances, default=0.0), name, construction, seed=seed)
        for name in values
        for count in candidates
    ]
    if wrong := [str(one) for one in tolerances if not 0 < one < 1]:
        raise InputError(f"tolerances = {', '.join(wrong)}: must be above 0 and below 1")
    teller = listener or Listener()
    with one_campaign_at_a_time(), importable(*current_folder()), standard_state():
        target = read_target(Path(folder), Which(replicate, round, arm, draw), data, trust_code)
        rows: list[dict[str, Any]] = []
        for settings in every_setting:
            of_network = _rows(target, settings, tolerances)
            rows += of_network
            first = of_network[0]
            teller.say(
                f"{settings.candidates} {settings.values} candidates: worst error {first['worst_error']:.3g}, "
                f"accuracy {first['accuracy']} (target {first['target_accuracy']}), {first['seconds']:.1f} s"
            )
        teller.say(f"simulating {REACH_DRAWS} draws of up to {max(REACH_COUNTS)} candidates")
        every = reach_table(values, REACH_COUNTS, sorted({*tolerances, *REACH_TOLERANCES}), REACH_DRAWS, seed)
    return Sweep(target.record(), pd.DataFrame(rows), every, fitted(every))


def make(target: SavedTarget, settings: Settings) -> tuple[list[Subsets], nn.Sequential]:
    """Find all subsets and build the network, in memory."""
    found = find_all(target.layers, settings, cores())
    network = skeleton(target.layers, settings)
    for index, layer in enumerate(target.layers):
        fill(network, layer, index, found[index], settings)
    return found, network


def _rows(target: SavedTarget, settings: Settings, tolerances: Sequence[float]) -> list[dict[str, Any]]:
    began = time.perf_counter()
    found, network = make(target, settings)
    measured = {
        **sizes_of(target.layers, network),
        **outputs_of(target, network),
        **bounds_of(target, found, network, settings),
        "seconds": time.perf_counter() - began,
    }
    simulated = simulated_errors(target.layers, settings, DRAWS)
    rows = []
    for tolerance in tolerances:
        hits = int((simulated <= tolerance).sum())
        low, high = share_interval(hits, DRAWS)
        rows.append(
            {
                "values": settings.values,
                "candidates": settings.candidates,
                "tolerance": tolerance,
                **weights_of(target.layers, found, replace(settings, tolerance=tolerance)),
                **measured,
                "exists": hits / DRAWS,
                "exists_low": low,
                "exists_high": high,
            }
        )
    return rows
