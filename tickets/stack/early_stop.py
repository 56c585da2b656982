"""Early stopping where the steps in between are evaluated on fewer examples than the last.

Which step has the lowest validation loss on those examples, and what the network at that step scores on all examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from tickets.data import Examples
from tickets.data.dataset import fixed_permutation
from tickets.stack.networks import Stack
from tickets.stack.trees import MisfitError, Tree, given, tensor_like, tensors_like


def some_of(examples: Examples, count: int | None) -> Examples | None:
    """The examples that are evaluated at the steps in between; None where these are all of them.

    Validation: the first `count`, since the split has put them in random order. Test: a random choice of `count` that
    is the same for every run, since their order may have a meaning. Training examples are measured as many as
    validation examples (see `evaluate`).

    Parameters
    ----------
    examples : Examples
        All of them.
    count : int, optional
        `train.evaluate_on`; None for all.
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
    """The evaluated step of each of R networks with the lowest validation loss so far, the first of several.

    The losses that are compared are all of the same few examples.

    Attributes
    ----------
    places : Tensor, (R,)
        int64: the place of that step among the evaluated ones.
    """

    def __init__(self, networks: int) -> None:
        self.places = torch.zeros(networks, dtype=torch.int64)
        self._lowest = torch.full((networks,), math.inf, dtype=torch.float64)
        self._seen = 0
        self._stood: Stack | None = None  # every network as it was at its step, where that was not evaluated on all

    def tree(self) -> Tree:
        """What `of_tree` is given."""
        stood = self._stood
        values = None if stood is None else {"parameters": stood.parameters, "buffers": stood.buffers}
        return {"places": self.places, "lowest": self._lowest, "stood": values}

    @classmethod
    def of_tree(cls, tree: Tree, start: Stack, seen: int) -> EarlyStop:
        """The inverse of `tree`. Raises MisfitError if it is not of these networks.

        start: the networks before training. seen: how many steps it has seen.
        """
        places, lowest, stood = given(tree, "places", "lowest", "stood")
        early = cls(len(start))
        early.places = tensor_like(places, torch.int64, (len(start),)).clone()
        early._lowest = tensor_like(lowest, torch.float64, (len(start),)).clone()
        early._seen = seen
        if bool(((early.places < 0) | (early.places >= max(1, early._seen))).any()):
            raise MisfitError(f"early stopping must be at one of {early._seen} steps")
        if stood is not None:
            parameters, buffers = given(stood, "parameters", "buffers")
            found = Stack(
                tensors_like(parameters, start.parameters), tensors_like(buffers, start.buffers), {}, {}, start.step
            )
            # They are evaluated, and not trained: their optimizer does not matter.
            early._stood = replace(found.to(torch.device("cpu")), masks=start.masks, pruned_values=start.pruned_values)
        return early

    def see(self, losses: Tensor, standing: Callable[[], Stack] | None) -> None:
        """Take the losses of the next evaluated step.

        Parameters
        ----------
        losses : Tensor, (R,)
            Validation loss on the few examples.
        standing : callable, optional
            Returns the networks as they are now; None where the step was evaluated on all examples.
        """
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

        Parameters
        ----------
        rows : sequence of Tensor, (R, 6)
            Of every evaluated step, the first and the last on all examples.
        evaluated : callable
            Evaluates networks on all examples, (R, 6).
        """
        networks = torch.arange(len(self.places))
        found = torch.stack(list(rows))[self.places, networks]
        between = (self.places > 0) & (self.places < len(rows) - 1)
        if self._stood is None or not between.any():
            return found
        return torch.where(between[:, None], evaluated(self._stood), found)
