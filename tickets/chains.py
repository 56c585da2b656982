"""A replicate between two rounds: what the next round starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from tickets.ready import ReadyRun
from tickets.seeds import stream
from tickets.stack.networks import Tensors


@dataclass(frozen=True)
class Chain:
    """One replicate before a round. All tensors are on the CPU, by name.

    Attributes
    ----------
    replicate
        Its number.
    theta0
        Every parameter and buffer before any training.
    rewound
        What the round's ticket starts from, unmasked: the same at the rewind step, theta0 until round 0 has passed it.
        Where a ticket keeps its trained values (`rewind.kind`): the trained values of the round before, 0 where its
        mask pruned; theta0 in round 0.
    optimizer
        The optimizer's state that goes with them, by state and parameter; empty for a fresh one.
    masks
        The round's masks of the prunable tensors, bool.
    diverged
        Whether the ticket of an earlier round diverged, so that the masks are meaningless.
    read_trained
        Reads every parameter and buffer of the ticket after the round before; None before round 0.
    read_shrunk
        Reads what `shrunk` returns; None before round 0.
    """

    replicate: int
    theta0: Tensors
    rewound: Tensors
    optimizer: dict[str, Tensors]
    masks: Tensors
    diverged: bool = False
    read_trained: Callable[[], Tensors] | None = None
    read_shrunk: Callable[[], Tensors] | None = None

    def shrunk(self) -> Tensors:
        """Which of the pruned weights training had moved towards 0 when they were pruned, bool, by prunable tensor.

        Raises
        ------
        InputError
            If an earlier round kept no trained values.
        """
        if self.read_shrunk is None:
            return {name: torch.zeros_like(mask) for name, mask in self.masks.items()}
        return self.read_shrunk()


def first_chain(ready: ReadyRun, replicate: int) -> Chain:
    """A replicate before round 0: its initial values, and masks that keep every weight."""
    theta0 = ready.fresh(stream(ready.run.seed, replicate, "initial"))
    return Chain(replicate, theta0, theta0, {}, first_masks(ready))


def first_masks(ready: ReadyRun) -> Tensors:
    """The masks of round 0: every weight stays."""
    return {tensor.name: torch.ones(tensor.shape, dtype=torch.bool) for tensor in ready.prunable}
