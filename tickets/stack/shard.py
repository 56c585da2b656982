"""A shard of a stack: some of its networks, while they train in one lane. Every strategy implements the interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from tickets.stack.networks import Stack, Tensors
from tickets.stack.trees import Tree


class UnsaveableError(Exception):
    """Networks whose training no other process could go on with; the text says why."""


class Stopped(Protocol):
    """What tells a shard in training to stop, as a threading.Event does."""

    def is_set(self) -> bool:
        """Whether it is to stop."""


class Shard(Protocol):
    """R networks in training. All strategies give the same numbers, to the last few bits."""

    def advance(self, first: int, last: int, tick: Callable[[int], None], stopped: Stopped) -> int:
        """Take the steps `first` to `last - 1`; the networks stand at step `first`. Returns where they stand then.

        tick: called as steps are taken, with (their number) x R. stopped: once set, no further step is begun. The
        numbers are the same wherever the steps are cut into several calls.
        """

    def logits(self, x: Tensor) -> Tensor:
        """Every network's outputs, (R, n, classes), in evaluation mode for the same inputs x (n, *input_shape)."""

    def parameters(self) -> Tensors:
        """Every parameter (and buffer, if any) as it is now, (R, *shape); for reading, until the next step."""

    def standing(self, step: int) -> Stack:
        """The networks as they are now, before step `step`; a copy on the CPU."""

    def state(self) -> Tree:
        """All that training has changed since the networks were made ready: live tensors, to be copied before a step.

        Raises UnsaveableError if something has changed that no other process can be given.
        """

    def restore(self, state: Tree, step: int) -> None:
        """Go on from a state at step `step`, bit for bit. Called before anything else, on networks made ready alike.

        Raises MisfitError, and leaves the networks as they are, if it is not a state of such networks.
        """
