"""Early stopping where the steps in between are evaluated on a few examples: which step it is, and its score on all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from tickets.data import Examples
from tickets.data.dataset import fixed_permutation
from tickets.stack.networks import Stack


def some_of(examples: Examples, count: int | None) -> Examples | None:
    """The examples that are evaluated at the steps in between, `count` for validation and as many for the test.

    None where these would be all. The first for validation, which the split has put in random order; for the test,
    whose order may mean something, a random choice that is the same for every run. Training examples are measured
    as many as validation examples (see `evaluate`).
    """
    validation, test = len(examples.validation_labels), len(examples.test_labels)
    if count is None or (count >= validation and count >= test):
        return None
    chosen = torch.from_numpy(fixed_permutation(test)[:count]).sort().values.to(examples.test_labels.device)
    return replace(
        examples,
        validation_inputs=examples.validation_inputs[:count],
        validation_labels=examples.validation_labels[:count],
        test_inputs=examples.test_inputs[chosen],
        test_labels=examples.test_labels[chosen],
    )


class EarlyStop:
    """The evaluated step of each of R networks with the lowest validation loss so far, the first if several are equal.

    Losses are compared that are of the same few examples at every step. places: (R,) int64, the step's place among
    those evaluated.
    """

    def __init__(self, networks: int) -> None:
        self.places = torch.zeros(networks, dtype=torch.int64)
        self._lowest = torch.full((networks,), math.inf, dtype=torch.float64)
        self._seen = 0
        self._stood: Stack | None = None  # every network as it stood at its step, where that was not evaluated on all

    def see(self, losses: Tensor, standing: Callable[[], Stack] | None) -> None:
        """Take the losses (R,) of the next evaluated step. standing: gives the networks, unless it was on all."""
        # As `round_rows` ranks them: NaN last, after infinity.
        ranked = torch.nan_to_num(losses, nan=math.inf)
        better = ranked < self._lowest
        self._lowest = torch.where(better, ranked, self._lowest)
        self.places[better] = self._seen
        self._seen += 1
        if standing is None or not better.any():
            return
        now = standing()
        if self._stood is None:
            self._stood = now
            return
        for kept, new in ((self._stood.parameters, now.parameters), (self._stood.buffers, now.buffers)):
            for name, tensor in kept.items():
                tensor[better] = new[name][better]

    def whole(self, rows: Sequence[Tensor], evaluated: Callable[[Stack], Tensor]) -> Tensor:
        """What each network scores on all examples at its step, (R, 6).

        rows: of every evaluated step, the first and the last on all examples. evaluated: the rows of networks that
        stand as they are given.
        """
        networks = torch.arange(len(self.places))
        found = torch.stack(list(rows))[self.places, networks]
        between = (self.places > 0) & (self.places < len(rows) - 1)
        if self._stood is None or not between.any():
            return found
        return torch.where(between[:, None], evaluated(self._stood), found)
