"""The batch of each step: what is gathered and augmented once for all networks with the same data order."""

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
    """What chance decides while one network trains. Networks with the same `order` see the same batches."""

    order: int
    noise: int


class Feed:
    """The batches of some networks, step by step.

    orders: the data orders there are. which: (R,) int64, each network's place among them.
    """

    def __init__(
        self, seeds: Sequence[NetworkSeeds], examples: Examples, recipe: TrainConfig, device: torch.device
    ) -> None:
        self.orders = tuple(dict.fromkeys(seed.order for seed in seeds))
        self.which = torch.tensor([self.orders.index(seed.order) for seed in seeds], device=device)
        self._seeds, self._examples = seeds, examples
        self._batches = Batches(self.orders, len(examples.train_labels), recipe.batch_size, device)

    def places(self, step: int) -> Tensor:
        """Where one step's examples are, (orders, batch)."""
        return self._batches.at(step)

    def gather(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Every network's batch as it is, not augmented: x (R, batch, *input_shape), y (R, batch)."""
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
        """Order by order, the batches of several steps, not gathered: examples, where each batch's are, their labels.

        Examples are (n, *input_shape), places among them and labels (steps, batch).
        """
        places = torch.stack([self._batches.at(step) for step in steps], 1)  # (orders, steps, batch)
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
        """One step's batch of one order."""
        assert self._examples.augment is not None
        x, y = self._gathered(places)
        generator = torch.Generator().manual_seed(stream(self.orders[order], "augment", step))
        return self._examples.augment(x, generator), y

    def noise(self, step: int, network: int) -> int:
        """The seed of one network's own random numbers at this step."""
        return stream(self._seeds[network].noise, step)
