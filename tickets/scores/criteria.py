"""Criteria of Zhou et al. 2019 ("Deconstructing Lottery Tickets", section 3): a weight before and after training.

theta0 are the values before any training, also where a round starts from later ones; w are the trained values.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tickets.candidate import Weights
from tickets.config.types import Positive
from tickets.scores.score import by_tensor


@by_tensor
def magnitude(weights: Weights) -> Tensor:
    """|w|: Han et al. 2015; `large_final` in Zhou et al. 2019."""
    return weights.trained.abs()


@by_tensor
def random(weights: Weights) -> Tensor:
    """Uniform random numbers: the ranking depends on nothing else."""
    return torch.rand(weights.trained.shape, generator=weights.generator)


@by_tensor
def small_final(weights: Weights) -> Tensor:
    """-|w|: the weights that training left smallest stay."""
    return -weights.trained.abs()


@by_tensor
def large_init(weights: Weights) -> Tensor:
    """|theta0|: the weights that were largest before any training stay."""
    return weights.theta0.abs()


@by_tensor
def small_init(weights: Weights) -> Tensor:
    """-|theta0|."""
    return -weights.theta0.abs()


@by_tensor
def large_init_large_final(weights: Weights, *, a: Positive = 1.0) -> Tensor:
    """min(a |w|, |theta0|): weights that are large at both ends stay. a scales the two to one another."""
    return torch.minimum(a * weights.trained.abs(), weights.theta0.abs())


@by_tensor
def small_init_small_final(weights: Weights, *, a: Positive = 1.0) -> Tensor:
    """-max(a |w|, |theta0|): weights that are small at both ends stay. a scales the two to one another."""
    return -torch.maximum(a * weights.trained.abs(), weights.theta0.abs())


@by_tensor
def magnitude_increase(weights: Weights, *, a: Positive = 1.0) -> Tensor:
    """a |w| - |theta0|: weights whose size grew most stay. a scales the two to one another."""
    return a * weights.trained.abs() - weights.theta0.abs()


@by_tensor
def movement(weights: Weights) -> Tensor:
    """|w - theta0|: weights that moved furthest stay. Sanh et al. 2020 call another score by this name."""
    return (weights.trained - weights.theta0).abs()


@by_tensor
def large_final_same_sign(weights: Weights) -> Tensor:
    """max(0, w theta0 / |theta0|): |w| where training kept the sign of the weight, 0 elsewhere.

    theta0 / |theta0| is the sign of theta0, which is 0 where theta0 is 0: such a weight has no sign to keep, and its
    score is 0.
    """
    return (weights.trained * weights.theta0.sign()).clamp(min=0)


@by_tensor
def large_final_diff_sign(weights: Weights) -> Tensor:
    """max(0, -w theta0 / |theta0|): |w| where training changed the sign of the weight, 0 elsewhere.

    The score of a weight whose theta0 is 0 is 0, as in `large_final_same_sign`.
    """
    return (-weights.trained * weights.theta0.sign()).clamp(min=0)
