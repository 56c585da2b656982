"""Scores: what a weight is worth when a round prunes. The lowest go.

A score is one function from a tensor's `Weights` to numbers of the same shape; it is named once, in
`tickets.catalogue.SCORES`, or given in a campaign file as "module:function".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Weights:
    """One prunable tensor of one ticket, seen at the end of a round.

    initial: what the ticket started this round from (0 where pruned). trained: what it ended at. Both have
    the tensor's shape. generator: a CPU stream of this replicate, round and tensor, for scores left to chance.
    """

    initial: Tensor
    trained: Tensor
    generator: torch.Generator


def magnitude(weights: Weights) -> Tensor:
    """|trained weight|: Han et al. 2015; `large_final` in Zhou et al. 2019."""
    return weights.trained.abs()


def random(weights: Weights) -> Tensor:
    """Uniform random numbers: the ranking knows nothing."""
    return torch.rand(weights.trained.shape, generator=weights.generator)
