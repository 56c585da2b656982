"""Random places in each tensor, as many as a rule for the densities of the tensors says: ERK, and uniform."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import torch
from torch import Tensor

from tickets.candidate import Candidate
from tickets.errors import InputError
from tickets.masks import keep_highest


def erk(candidate: Candidate) -> dict[str, Tensor]:
    """Random places; layer densities by the Erdos-Renyi-kernel rule (Mocanu et al. 2018; Evci et al. 2020).

    The density of a tensor is in proportion to the sum of its sides over their product: (fan-in + fan-out + kernel
    height + width) / (fan-in * fan-out * kernel height * width) for a convolution, (fan-in + fan-out) / (fan-in *
    fan-out) for a Linear layer, and by its shape alone for any other tensor. See `shares` for the counts.

    Raises
    ------
    InputError
        If the budget says how many weights each tensor keeps.
    """
    return _at_random(candidate, {name: sum(mask.shape) for name, mask in candidate.mask.items()})


def uniform(candidate: Candidate) -> dict[str, Tensor]:
    """Random places; every tensor has the same density. See `shares` for the counts.

    Raises
    ------
    InputError
        If the budget says how many weights each tensor keeps.
    """
    return _at_random(candidate, {name: mask.numel() for name, mask in candidate.mask.items()})


def shares(total: int, wanted: Mapping[str, int], most: Mapping[str, int]) -> dict[str, int]:
    """Share out a number of weights in proportion to `wanted`, to none more than `most`; exactly `total` in all.

    Those whose share would be above `most` get that, and the rest is shared out among the others, until none is above
    it. The shares are computed as fractions without rounding and rounded down; what is then left of the total goes, one
    each, to the largest remainders, among equal ones to the first.

    Parameters
    ----------
    total
        How many weights, at most the sum of `most`.
    wanted
        By name, what the shares are in proportion to, > 0.
    most
        By name, the most that each can get: how many of its weights survive.
    """
    full: set[str] = set()
    while True:
        open_ = [name for name in wanted if name not in full]
        left = total - sum(most[name] for name in full)
        scale = Fraction(left, sum(wanted[name] for name in open_)) if open_ else Fraction(0)
        beyond = {name for name in open_ if scale * wanted[name] > most[name]}
        if not beyond:
            break
        full |= beyond
    exact = {name: Fraction(most[name]) if name in full else scale * wanted[name] for name in wanted}
    counts = {name: math.floor(share) for name, share in exact.items()}
    by_remainder = sorted(wanted, key=lambda name: counts[name] - exact[name])  # stable: the first of equal ones
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def _at_random(candidate: Candidate, wanted: Mapping[str, int]) -> dict[str, Tensor]:
    """Random scores that are below 1 for the weights that go, and 1 or more for as many as stay in each tensor."""
    if candidate.budget.by_tensor is not None:
        raise InputError(
            'says how many weights each layer keeps, which scope = "layer" says already; write scope = "global", or '
            'score = "random" for random places by the rates of the layers'
        )
    mask = candidate.mask
    counts = shares(candidate.budget.total, wanted, {name: int(alive.sum()) for name, alive in mask.items()})
    scores = {}
    for name, alive in mask.items():
        drawn = torch.rand(alive.shape, generator=candidate.generator_of(name))
        scores[name] = drawn + keep_highest(drawn, counts[name], alive)
    return scores
