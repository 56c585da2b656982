"""The masks and initial values of a saved run's tickets, as the figures of masks take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tickets.density import density
from tickets.store import Saved

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Masks = Mapping[int, Mapping[int, Mapping[str, Mask]]]
"""Masks by round, replicate and parameter."""
Values = Mapping[int, Mapping[str, Array]]
"""Values by replicate and parameter."""


def read_masks(saved: Saved, run: str) -> dict[int, dict[int, dict[str, Mask]]]:
    """Read the ticket's masks, {round: {replicate: {parameter: bool array}}}, in order.

    Raises
    ------
    InputError
        As `Saved.ticket`.
    """
    rows = saved.rounds
    pairs = rows.loc[(rows["run"] == run) & (rows["arm"] == "ticket"), ["round", "replicate"]].drop_duplicates()
    found: dict[int, dict[int, dict[str, Mask]]] = {}
    for number, replicate in sorted(zip(pairs["round"], pairs["replicate"], strict=True)):
        mask = saved.ticket(int(replicate), int(number), run=run).mask
        found.setdefault(int(number), {})[int(replicate)] = mask
    return found


def read_initial(saved: Saved, run: str) -> dict[int, dict[str, Array]]:
    """Read theta0 of the prunable weights, {replicate: {parameter: array}}.

    Raises
    ------
    InputError
        As `Saved.ticket`.
    """
    rows = saved.rounds
    replicates = sorted(rows.loc[(rows["run"] == run) & (rows["round"] == 0), "replicate"].unique())
    dense = {int(replicate): saved.ticket(int(replicate), 0, run=run) for replicate in replicates}
    return {number: {name: one.values[name] for name in one.mask} for number, one in dense.items()}


def density_of(masks: Mapping[int, Mapping[str, Mask]]) -> float:
    """The mean density of one round's masks over its replicates."""
    return float(np.mean([density(one) for one in masks.values()]))
