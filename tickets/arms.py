"""Arms: what a round trains. An arm is a mask rule and a value rule; the pairs stand in `tickets.catalogue.ARMS`.

A rule is one small function of an `Origin`, everything that one replicate offers in one round. A mask rule
returns the masks of the prunable tensors. A value rule returns every parameter and buffer of the network;
what the mask removes is set to zero afterwards, so a value rule need not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tickets.masks import random_places

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Origin:
    """What one arm of one replicate, round and draw can be made from. All tensors are on the CPU, by name.

    mask: the round's mask, of the prunable tensors, bool.
    theta0: every parameter and buffer before any training, unmasked.
    rewound: the same at the rewind step (theta0 itself where that is 0).
    biases: the names of the bias parameters.
    fresh: draws every parameter and buffer anew from the model's own initial distribution, from a seed.
    stream: the seed of this replicate, round and draw for a purpose. The purpose is the rule's, not the arm's,
        so that two arms that share a rule differ in the other one alone.
    value: the campaign's constant c.
    """

    mask: Tensors
    theta0: Tensors
    rewound: Tensors
    biases: frozenset[str]
    fresh: Callable[[int], dict[str, Tensor]]
    stream: Callable[[str], int]
    value: float


def round_mask(origin: Origin) -> dict[str, Tensor]:
    """The mask that the ticket has in this round."""
    return dict(origin.mask)


def random_mask(origin: Origin) -> dict[str, Tensor]:
    """As many weights in each tensor as the round's mask keeps, at places drawn anew each round."""
    generator = torch.Generator().manual_seed(origin.stream("random_mask"))
    return {name: random_places(mask, generator) for name, mask in origin.mask.items()}


def rewound(origin: Origin, mask: Tensors) -> dict[str, Tensor]:
    """The values of the rewind step (Frankle & Carbin 2019; Frankle et al. 2020 for steps past 0)."""
    return dict(origin.rewound)


def fresh_draw(origin: Origin, mask: Tensors) -> dict[str, Tensor]:
    """Another draw from the model's own initial distribution (Frankle & Carbin 2019, "random reinitialization")."""
    return origin.fresh(origin.stream("fresh_draw"))


def shuffled(origin: Origin, mask: Tensors) -> dict[str, Tensor]:
    """The rewound surviving values, permuted among the surviving places of each tensor (Zhou et al. 2019)."""
    generator = torch.Generator().manual_seed(origin.stream("shuffle"))
    values = dict(origin.rewound)
    for name, kept in mask.items():
        survivors = values[name][kept]
        values[name] = values[name].clone()
        values[name][kept] = survivors[torch.randperm(survivors.numel(), generator=generator)]
    return values


def constant(origin: Origin, mask: Tensors) -> dict[str, Tensor]:
    """Every weight the same number, every bias 0: nothing but the mask tells two units of a layer apart."""
    values = dict(origin.theta0)
    for name in origin.biases:
        values[name] = torch.zeros_like(values[name])
    for name in mask:
        values[name] = torch.full_like(values[name], origin.value)
    return values


def sign_constant(origin: Origin, mask: Tensors) -> dict[str, Tensor]:
    """sign(theta0) times the standard deviation of that tensor's dense theta0 (Zhou et al. 2019, "constant")."""
    return {
        **origin.theta0,
        **{name: origin.theta0[name].sign() * _spread(origin.theta0[name]) for name in mask},
    }


def random_sign_constant(origin: Origin, mask: Tensors) -> dict[str, Tensor]:
    """The sizes of `sign_constant` with signs drawn at random (Zhou et al. 2019)."""
    generator = torch.Generator().manual_seed(origin.stream("random_sign"))
    signs = {name: torch.randint(2, kept.shape, generator=generator) * 2.0 - 1.0 for name, kept in mask.items()}
    return {**origin.theta0, **{name: signs[name] * _spread(origin.theta0[name]) for name in mask}}


def _spread(values: Tensor) -> Tensor:
    """Standard deviation over the whole tensor, as a population."""
    return values.std(correction=0)
