"""The rules of the arms whose masks are learned: the fixed values, and the scores before training.

In round 0 every weight is kept, and there is nothing to learn. After a rewind step, too, these networks start from
values that were never trained, at step 0, with the whole schedule.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from tickets.arms import Origin, Start, Tensors
from tickets.config.types import Count, EdgePopupWeights, SupermaskWeights
from tickets.learned.learning import Learning
from tickets.learned.masks import highest

Draw = Callable[[Tensor, torch.Generator], Tensor]


def supermask_mask(origin: Origin) -> dict[str, Tensor]:
    """Masks with as many weights per tensor as the round's: what is learned has their counts, and not their places."""
    return dict(origin.mask)


def supermask_values(
    origin: Origin,
    mask: Tensors,
    *,
    weights: SupermaskWeights = "initial",
    rescale: bool = False,
    samples: Count = 0,
) -> Start:
    """theta0, or sign(theta0) times the standard deviation of that tensor's theta0 (Zhou et al. 2019, section 5).

    Biases and normalisation parameters are theta0's. All scores are 0 before training, as in the paper.
    """
    values = dict(origin.theta0)
    if weights == "signed_constant":
        values |= {name: values[name].sign() * values[name].std(correction=0) for name in mask}
    scores = {name: torch.zeros_like(values[name]) for name in mask}
    return Start(values, recipe=origin.train, learning=Learning("supermask", rescale, samples), scores=scores)


def edge_popup_mask(origin: Origin) -> dict[str, Tensor]:
    """The highest absolute scores before training, as many per tensor as the round's mask keeps, at random places."""
    scores = _edge_popup_scores(origin)
    return {name: highest("edge_popup", scores[name][None], mask.sum()[None])[0] for name, mask in origin.mask.items()}


def edge_popup_values(origin: Origin, mask: Tensors, *, weights: EdgePopupWeights = "signed_constant") -> Start:
    """A Kaiming normal draw N(0, 2 / (fan_in d)), or its signs times sqrt(2 / (fan_in d)) (Ramanujan et al. 2020).

    d is the density of the tensor's mask: the signal keeps its size with as many weights left ("scaled", section 3 of
    the paper; `scale_fan` in its program). Biases are 0, since the paper's networks have none. Normalisation
    parameters keep the values of the model's constructor: the paper's do not scale or shift.
    """
    generator = torch.Generator().manual_seed(origin.stream("edge_popup_weights"))
    values = {**origin.theta0, **{name: torch.zeros_like(origin.theta0[name]) for name in origin.biases}}
    for name, kept in mask.items():
        deviation = math.sqrt(2 / (_fan_in(kept) * max(1, int(kept.sum())) / kept.numel()))
        drawn = torch.randn(kept.shape, generator=generator)
        unit = drawn if weights == "normal" else torch.where(drawn < 0, -1.0, 1.0)
        values[name] = (unit * deviation).to(values[name])
    return Start(values, recipe=origin.train, learning=Learning("edge_popup"), scores=_edge_popup_scores(origin))


def _edge_popup_scores(origin: Origin) -> dict[str, Tensor]:
    """Kaiming uniform with a = sqrt(5), as in the authors' program: U(-b, b), b = 1 / sqrt(fan_in)."""

    def draw(like: Tensor, generator: torch.Generator) -> Tensor:
        return (torch.rand(like.shape, generator=generator) * 2 - 1) / math.sqrt(_fan_in(like))

    return _scores(origin, "edge_popup_scores", draw)


def _scores(origin: Origin, purpose: str, draw: Draw) -> dict[str, Tensor]:
    """A score of each prunable weight, of the weight's type; the same at each call."""
    generator = torch.Generator().manual_seed(origin.stream(purpose))
    return {name: draw(mask, generator).to(origin.theta0[name]) for name, mask in origin.mask.items()}


def _fan_in(weight: Tensor) -> int:
    """The inputs of a unit, as in torch.nn.init: shape[1] times the size of the kernel."""
    return weight[0].numel()
