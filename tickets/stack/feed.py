"""The batch of each step, gathered and augmented once for all networks with the same data order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.seeds import stream
from tickets.stack.order import Batches


@dataclass(frozen=True)
class NetworkSeeds:
    """The seeds of one network's training. Networks with the same `order` see the same batches.

    Parameters
    ----------
    order
        Of the data order.
    noise
        Of its own random numbers.
    before
        The seeds that it has instead before step `step`; None if it has the same at every step.
    step
        The step from which on it has its own.
    """

    order: int
    noise: int
    before: NetworkSeeds | None = None
    step: int = 0

    def at(self, step: int) -> NetworkSeeds:
        """The seeds at a step."""
        return self.before if self.before is not None and step < self.step else self


class Feed:
    """The batches of R networks, step by step.

    Attributes
    ----------
    orders
        One network's seeds for each distinct data order.
    which
        (R,) int64, the index of each network's data order.
    """

    def __init__(
        self, seeds: Sequence[NetworkSeeds], examples: Examples, recipe: TrainConfig, device: torch.device
    ) -> None:
        distinct: dict[tuple[int, ...], NetworkSeeds] = {}
        for seed in seeds:
            distinct.setdefault(_order_of(seed), seed)
        places = {order: place for place, order in enumerate(distinct)}
        self.orders = tuple(distinct.values())
        self.which = torch.tensor([places[_order_of(seed)] for seed in seeds], device=device)
        self._seeds, self._examples = seeds, examples
        own = tuple(one.order for one in self.orders)
        self._batches = Batches(own, len(examples.train_labels), recipe.batch_size, device)
        self._part = max(one.step for one in self.orders)  # the last step at which an order may change

    def places(self, step: int) -> Tensor:
        """The indices of one step's examples, (orders, batch)."""
        return self._batches.at(step, self._orders_at(step))

    def gather(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Every network's batch without augmentation: x (R, batch, *input_shape), y (R, batch)."""
        return self._gathered(places[self.which])

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """One step's batch of every network: x (R, batch, *input_shape), y (R, batch)."""
        places = self.places(step)
        if self._examples.augment is None:
            return self.gather(places)
        each = [self._augmented(places[order], step, order) for order in range(len(self.orders))]
        x, y = (torch.stack(part)[self.which] for part in zip(*each, strict=True))
        return x, y

    def batches(self, steps: range) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """For each data order, the batches of several steps as (examples, indices, labels), without a copy.

        Examples are (n, *input_shape); indices into them and labels are (steps, batch).
        """
        places = torch.stack([self.places(step) for step in steps], 1)  # (orders, steps, batch)
        for order, at in enumerate(places):
            labels = self._examples.train_labels[at]
            if self._examples.augment is None:
                yield self._examples.train_inputs, at, labels
            else:
                each = [self._augmented(part, step, order)[0] for part, step in zip(at, steps, strict=True)]
                yield torch.cat(each), torch.arange(at.numel()).view(at.shape), labels

    def _gathered(self, places: Tensor) -> tuple[Tensor, Tensor]:
        return self._examples.train_inputs[places], self._examples.train_labels[places]

    def _augmented(self, places: Tensor, step: int, order: int) -> tuple[Tensor, Tensor]:
        """One step's batch of one data order."""
        assert self._examples.augment is not None
        x, y = self._gathered(places)
        generator = torch.Generator().manual_seed(stream(self.orders[order].at(step).order, "augment", step))
        return self._examples.augment(x, generator), y

    def noise(self, step: int, network: int) -> int:
        """The seed of one network's own random numbers at this step."""
        return stream(self._seeds[network].at(step).noise, step)

    def _orders_at(self, step: int) -> tuple[int, ...] | None:
        return tuple(one.at(step).order for one in self.orders) if step < self._part else None


def _order_of(seeds: NetworkSeeds) -> tuple[int, ...]:
    """Equal for networks with the same batches at every step."""
    return (seeds.order,) if seeds.before is None else (seeds.order, seeds.before.order, seeds.step)
