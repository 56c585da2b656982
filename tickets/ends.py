"""The values of a network that is to be pruned: before any training, and where a round started and ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Weights:
    """One prunable tensor of a candidate.

    Attributes
    ----------
    initial
        What training started from; 0 where pruned.
    trained
        What training ended at; 0 where pruned. Before any training: `initial`.
    theta0
        The values before any training; 0 where pruned. A round may start from later ones (`initial`).
    mask
        Bool: the weights that are not pruned yet.
    generator
        Random numbers of this replicate, round and tensor, on the CPU.

    The first four have the tensor's shape.
    """

    initial: Tensor
    trained: Tensor
    theta0: Tensor
    mask: Tensor
    generator: torch.Generator


@dataclass(frozen=True)
class Ends:
    """Every parameter and buffer of a network, by name; pruned weights are 0.

    Attributes
    ----------
    initial
        What the round's training started from.
    trained
        What it ended at.
    theta0
        The values before any training of the replicate. `initial` is another one with a rewind step past 0.
    """

    initial: Tensors
    trained: Tensors
    theta0: Tensors

    def at(self, end: Literal["theta0", "trained"]) -> Tensors:
        """`theta0` or `trained`."""
        return self.theta0 if end == "theta0" else self.trained
