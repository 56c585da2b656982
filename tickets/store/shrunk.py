"""The pruned weights that had shrunk when they were pruned: read back from the rounds before, or from a round's file.

The file `shrunk.safetensors` is in each folder of a round that has arms with ``pruned = "zero_if_shrunk"``. It says
which pruned weights are 0 in their networks, which can thus be read without the rounds before; the other pruned weights
have their initial values.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tickets.shrunk import shrunk_after
from tickets.store.arrays import Array, Mask
from tickets.store.layout import Layout, round_folder
from tickets.store.manifests import trusting_form
from tickets.store.reading import Committed, read_initial, read_next_masks, read_round_masks, read_shrunk, read_values
from tickets.store.ticket_values import read_trained

By = dict[int, dict[str, Mask]]  # by replicate and prunable parameter


class Shrunk:
    """Which pruned weights of a cohort had shrunk when they were pruned, from its committed rounds.

    It reads each round once while it is asked for one round after another.

    Parameters
    ----------
    cohort
        The cohort's folder.
    """

    def __init__(self, cohort: Path) -> None:
        self._cohort, self._files = cohort, Committed()
        self._number, self._found = 0, By()

    def before(self, number: int, replicate: int) -> dict[str, Mask]:
        """Those of a replicate that the mask of round `number` prunes; see `tickets.shrunk.shrunk_after`.

        Raises
        ------
        InputError
            If a round before was committed without the ticket's trained values, or is damaged.
        """
        if not self._found or number < self._number:
            masks = read_round_masks(round_folder(self._cohort, 0))
            self._number = 0
            self._found = {one: _none(mask) for one, mask in masks.items()}
        while self._number < number:
            self._found = self._after(round_folder(self._cohort, self._number))
            self._number += 1
        return self._found[replicate]

    def _after(self, folder: Path) -> By:
        masks, following, theta0 = (
            read_round_masks(folder),
            read_next_masks(folder),
            read_values(folder.parent / Layout.INITIAL),
        )
        with trusting_form(folder):
            return {
                replicate: shrunk_after(
                    found, theta0[replicate], read_trained(self._files, folder, replicate), masks[replicate],
                    following[replicate],
                )
                for replicate, found in self._found.items()
            }  # fmt: skip


def _none(mask: Mapping[str, Mask]) -> dict[str, Mask]:
    return {name: np.zeros_like(kept) for name, kept in mask.items()}


def held_values(folder: Path, replicate: int, pruned: str) -> Mapping[str, Array]:
    """The values that the pruned weights of an arm keep, by parameter; empty where they are 0.

    Parameters
    ----------
    folder
        The folder of the round, or of the part of it, that has the arm.
    replicate
        The replicate.
    pruned
        The arm's rule for pruned weights, by the manifest.
    """
    if pruned == "zero":
        return {}
    theta0 = read_initial(folder.parent, replicate)
    if pruned == "initial":
        return theta0
    with trusting_form(folder):
        shrunk = read_shrunk(folder)[replicate]
        return {
            name: np.where(shrunk[name], np.zeros_like(value), value)
            for name, value in theta0.items()
            if name in shrunk
        }
