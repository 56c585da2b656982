"""Scores: what a weight is worth when a round prunes. The lowest go.

A score is one function from a tensor's `Weights` to numbers of the same shape; it is named once, in
`tickets.catalogue.SCORES`, or given in a campaign file as "module:function".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tickets.errors import UserCodeError
from tickets.process_state import settings_kept


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


def score_tensor(
    score: Callable[[Weights], Tensor], name: str, weights: Weights, alive: Tensor, tensor: str, when: str
) -> Tensor:
    """Call a score on copies of a tensor's weights, and check what it returns.

    Parameters
    ----------
    score
        Any function that campaign files can name; what it does to the tensors that it gets changes nothing.
    name
        What the campaign file calls it, for errors.
    weights
        The tensor's weights, on the CPU.
    alive
        Bool, the tensor's shape: the weights that are not pruned yet. The scores of others do not matter.
    tensor
        The parameter's name, for errors.
    when
        The round and replicate, for errors.

    Returns
    -------
    Tensor
        The scores, of the tensor's shape.

    Raises
    ------
    UserCodeError
        If the score returns anything but a tensor of real numbers of that shape on the CPU, or NaN for a weight that
        is alive, though all weights are finite. A training that diverged may leave NaN, which ranks lowest.
    """
    with settings_kept():
        scores = score(replace(weights, initial=weights.initial.clone(), trained=weights.trained.clone()))
    wrong = _wrong(scores, weights, alive)
    if wrong:
        raise UserCodeError(f"prune.score = {name!r}: {wrong} for {tensor} ({when})")
    return scores.detach()


def _wrong(scores: object, weights: Weights, alive: Tensor) -> str | None:
    shape = tuple(weights.trained.shape)
    if not isinstance(scores, Tensor):
        return f"returned a {type(scores).__name__}, must return a tensor of shape {shape},"
    if scores.device.type != "cpu" or scores.layout != torch.strided:
        where = scores.device if scores.device.type != "cpu" else scores.layout
        return f"returned a tensor that is {where}, must return an ordinary tensor on the cpu,"
    if tuple(scores.shape) != shape:
        return f"returned a tensor of shape {tuple(scores.shape)}, must be {shape}, one number for each weight,"
    if scores.is_complex() or scores.dtype == torch.bool:
        return f"returned numbers of type {scores.dtype}, must be real (bool: scores.float() if 0 and 1 are meant),"
    finite = bool(torch.isfinite(weights.trained).all() and torch.isfinite(weights.initial).all())
    broken = int(torch.isnan(scores.detach())[alive].sum()) if finite else 0
    if broken:
        return f"returned NaN for {broken} of {int(alive.sum())} surviving weights, must be a number for each,"
    return None
