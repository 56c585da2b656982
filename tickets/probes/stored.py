"""The networks of earlier rounds, read from a cohort's folder for the probes of a later one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tickets.measures import Label
from tickets.probes.context import Context
from tickets.probes.networks import Networks, nothing_trained, stacked
from tickets.rewinding import position
from tickets.store import RoundPlan, StoredNetwork, read_networks


class Stored:
    """What `Networks.earlier` returns in one round of a cohort.

    Parameters
    ----------
    cohort
        The cohort's folder.
    plan
        The round, or the part of a round, that is trained.
    context
        What all networks of the run have in common.
    """

    def __init__(self, cohort: Path, plan: RoundPlan, context: Context) -> None:
        self._cohort, self._plan, self._context = cohort, plan, context
        self._read: dict[tuple[int, bool], Networks | None] = {}

    def networks(self, number: int, trained: bool) -> Networks | None:
        """The networks of a round; each round is read once. See `Networks.earlier`."""
        if (number, trained) not in self._read:
            self._read[number, trained] = self._networks(number, trained)
        return self._read[number, trained]

    def _networks(self, number: int, trained: bool) -> Networks | None:
        if number < 0 or number > self._plan.number:
            return None
        before = self._plan.part if number == self._plan.number else None
        # Probes compare networks of one architecture.
        found = [network for network in read_networks(self._cohort, number, before) if network.model is None]
        if not found:
            return None
        kept = [network for network in found if network.trained is not None] if trained else found
        if not kept:
            raise nothing_trained(number)
        device = self._context.device
        return Networks(
            labels=tuple(_label(network, number) for network in kept),
            step=position(self._context.run, number).recipe.steps,
            values=stacked([_tensors(network.trained or {}) for network in kept], device) if trained else {},
            initial=stacked([_tensors(network.initial) for network in kept], device),
            masks=stacked([_tensors(network.mask) for network in kept], device),
            context=self._context,
            _earlier=self.networks,
        )


def _label(network: StoredNetwork, number: int) -> Label:
    return Label(network.replicate, number, network.density, network.arm, network.draw)


def _tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
