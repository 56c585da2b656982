"""What all networks of a run have in common for a probe: its configuration, its examples and its architecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from tickets.config import Run
from tickets.data import Examples
from tickets.stack.anatomy import Anatomy


@dataclass(frozen=True, eq=False)
class Context:
    """What all networks of a run have in common.

    Parameters
    ----------
    run
        The run's configuration.
    read_examples
        Returns its examples, on `device`.
    build
        Makes a new module of the architecture on the CPU.
    read_anatomy
        Returns what is known of the architecture; its module, whose own values mean nothing, is on `device`.
    device
        Where the networks are trained.
    chunk
        Examples at a time in an evaluation.
    """

    run: Run
    read_examples: Callable[[], Examples]
    build: Callable[[], nn.Module]
    read_anatomy: Callable[[], Anatomy]
    device: torch.device
    chunk: int

    @property
    def examples(self) -> Examples:
        """The run's examples."""
        return self.read_examples()

    @property
    def anatomy(self) -> Anatomy:
        """What is known of the architecture."""
        return self.read_anatomy()
