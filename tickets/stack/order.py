"""The order of the data: a pure function of a seed and the epoch, so that training can begin at any step."""

from __future__ import annotations

import torch
from torch import Tensor

from tickets.seeds import stream


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Whole batches in one pass; what is left over waits for another epoch's order."""
    return examples // batch_size


def epoch_order(seed: int, epoch: int, examples: int) -> Tensor:
    """The order in which one epoch visits the examples: a permutation of 0 .. examples - 1, int64."""
    generator = torch.Generator().manual_seed(stream(seed, "epoch", epoch))
    return torch.randperm(examples, generator=generator)


class Batches:
    """The batches of several data orders, step by step.

    seeds: one a data order, S of them. `at(step)` gives the indices of that step's examples, (S, batch_size).
    Holds the current epoch's permutations and nothing else.
    """

    def __init__(self, seeds: tuple[int, ...], examples: int, batch_size: int, device: torch.device) -> None:
        self._seeds, self._examples, self._batch_size, self._device = seeds, examples, batch_size, device
        self._epoch = -1
        self._orders = torch.empty(0)

    def at(self, step: int) -> Tensor:
        """Indices of the examples that step `step` trains on, (S, batch_size)."""
        epoch, position = divmod(step, steps_per_epoch(self._examples, self._batch_size))
        if epoch != self._epoch:
            orders = [epoch_order(seed, epoch, self._examples) for seed in self._seeds]
            self._orders, self._epoch = torch.stack(orders).to(self._device), epoch
        return self._orders[:, position * self._batch_size : (position + 1) * self._batch_size]
