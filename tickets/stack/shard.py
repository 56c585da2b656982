"""A shard of a stack: some of its networks, while they train in one lane. Every strategy implements the interface."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from tickets.stack.networks import Stack, Tensors


class Shard(Protocol):
    """R networks in training. All strategies give the same numbers, to the last few bits."""

    def advance(self, first: int, last: int, tick: Callable[[int], None], stopped: threading.Event) -> None:
        """Take the steps `first` to `last - 1`; the networks stand at step `first`.

        tick: called as steps are taken, with (their number) x R. stopped: once set, no further step is begun.
        """

    def logits(self, x: Tensor) -> Tensor:
        """Every network's outputs, (R, n, classes), in evaluation mode for the same inputs x (n, *input_shape)."""

    def parameters(self) -> Tensors:
        """Every parameter (and buffer, if any) as it is now, (R, *shape); for reading, until the next step."""

    def standing(self, step: int) -> Stack:
        """The networks as they are now, before step `step`; a copy on the CPU."""
