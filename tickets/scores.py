"""Scores: what a weight is worth when the network is pruned. The lowest go.

A score is a function `f(candidate, **options)` that returns a tensor of scores for each prunable tensor, by name. It is
named once, in `tickets.catalogue.SCORES`, or given in a campaign file as "module:function"; options stand beside its
name: `prune.score = { name = "module:function", scale = 2 }`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from tickets.binding import named_function, with_options
from tickets.candidate import Batch, Candidate, Weights
from tickets.catalogue import SCORES

__all__ = ["Batch", "Candidate", "Score", "Weights", "by_tensor", "magnitude", "named_score", "random"]

Score = Callable[[Candidate], Mapping[str, Tensor]]


class by_tensor:  # noqa: N801 - a decorator
    """Make a score of a function of one tensor's weights, `f(weights, **options) -> Tensor`; a decorator.

    The function is called with the `Weights` of each prunable tensor in turn.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        functools.update_wrapper(self, function)
        self._function = function

    def __call__(self, candidate: Candidate, **options: Any) -> dict[str, Tensor]:
        """The scores of each prunable tensor, by name."""
        return {name: self._function(candidate.weights(name), **options) for name in candidate.mask}


@by_tensor
def magnitude(weights: Weights) -> Tensor:
    """|trained weight|: Han et al. 2015; `large_final` in Zhou et al. 2019."""
    return weights.trained.abs()


@by_tensor
def random(weights: Weights) -> Tensor:
    """Uniform random numbers: the ranking depends on nothing else."""
    return torch.rand(weights.trained.shape, generator=weights.generator)


def named_score(name: str, options: Mapping[str, Any] | None = None, key: str = "prune.score") -> Score:
    """The score with this name and these options.

    Parameters
    ----------
    name
        One of `tickets.catalogue.SCORES`, or "module:function".
    options
        Its keyword arguments.
    key
        The key of the campaign file that names it, for errors.

    Raises
    ------
    InputError
        If there is no such score, or if it does not take these options.
    """
    return with_options(named_function(key, name, SCORES), key, name, options or {}, positional=1)
