"""The data order, a pure function of a seed and the epoch, so that training can resume at any step."""

from __future__ import annotations

import torch
from torch import Tensor

from tickets.seeds import stream


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """The number of whole batches in an epoch; the examples left over are dropped from that epoch."""
    return examples // batch_size


def epoch_order(seed: int, epoch: int, examples: int) -> Tensor:
    """The order of the examples in one epoch: a permutation of 0 .. examples - 1, int64."""
    generator = torch.Generator().manual_seed(stream(seed, "epoch", epoch))
    return torch.randperm(examples, generator=generator)


class Batches:
    """The batches of S data orders, step by step. Keeps the permutations of the current epoch only.

    Parameters
    ----------
    seeds
        One for each data order.
    examples
        The number of training examples.
    batch_size
        Examples in a batch.
    device
        The device of the indices.
    """

    def __init__(self, seeds: tuple[int, ...], examples: int, batch_size: int, device: torch.device) -> None:
        self._seeds, self._examples, self._batch_size, self._device = seeds, examples, batch_size, device
        self._kept: tuple[int, tuple[int, ...]] = (-1, ())
        self._orders = torch.empty(0)

    def at(self, step: int, seeds: tuple[int, ...] | None = None) -> Tensor:
        """The indices of a step's examples, (S, batch_size). seeds: of the orders, if they are others at this step."""
        epoch, position = divmod(step, steps_per_epoch(self._examples, self._batch_size))
        now = epoch, seeds or self._seeds
        if now != self._kept:
            orders = [epoch_order(seed, epoch, self._examples) for seed in now[1]]
            self._orders, self._kept = torch.stack(orders).to(self._device), now
        return self._orders[:, position * self._batch_size : (position + 1) * self._batch_size]
