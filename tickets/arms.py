"""Arms: what a round trains. An arm is a mask rule and a value rule; the pairs stand in `tickets.catalogue.ARMS`.

A rule is one small function of an `Origin`, everything that one replicate offers in one round. A mask rule
returns the masks of the prunable tensors. A value rule returns every parameter and buffer of the network;
what the mask removes is set to zero afterwards, so a value rule need not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tickets.candidate import Candidate
from tickets.errors import UserCodeError
from tickets.masks import random_places

Tensors = Mapping[str, Tensor]
MaskRule = Callable[["Origin"], dict[str, Tensor]]
ValueRule = Callable[["Origin", Tensors], dict[str, Tensor]]


def _no_candidate(scope: str = "global") -> Candidate:
    raise NotImplementedError("this origin has no candidate")


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
    zero_biases: whether a start of one size has biases of 0, or theta0's; None: what is usual for the rule.
    candidate: the network before any training and pruning, as a score sees it, for masks that are computed from theta0:
        `tickets.selection.mask_at_start(score, origin.candidate())`. As many weights remain as the round's mask keeps:
        in all tensors together, or in each with `origin.candidate("layer")`.
    """

    mask: Tensors
    theta0: Tensors
    rewound: Tensors
    biases: frozenset[str]
    fresh: Callable[[int], dict[str, Tensor]]
    stream: Callable[[str], int]
    value: float
    zero_biases: bool | None = None
    candidate: Callable[..., Candidate] = _no_candidate


def apply_rules(
    mask_rule: MaskRule, value_rule: ValueRule, origin: Origin, named: str
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The mask and the initial values that an arm's two rules make.

    The rules of this module read what they are given and never write to it. Any other rule gets copies, and what it
    returns is checked.

    Parameters
    ----------
    mask_rule
        Makes the masks of the prunable tensors.
    value_rule
        Makes every parameter and buffer, given those masks.
    origin
        What both can be made from.
    named
        The arm and when, for errors.

    Raises
    ------
    UserCodeError
        If a mask is not bool, of another shape, or keeps another number of weights than the round's; or if values are
        missing, too many, of another shape or type, or NaN where no training diverged.
    """
    foreign = value_rule.__module__ != __name__
    mask = mask_rule(origin if mask_rule.__module__ == __name__ else _copied(origin))
    problems = list(_wrong_masks(mask, origin)) if mask_rule.__module__ != __name__ else []
    if problems:
        raise UserCodeError([f"{named}: mask rule {_name(mask_rule)} {problem}" for problem in problems])
    values = value_rule(_copied(origin) if foreign else origin, _cloned(mask) if foreign else mask)
    problems = list(_wrong_values(values, origin)) if foreign else []
    if problems:
        raise UserCodeError([f"{named}: value rule {_name(value_rule)} {problem}" for problem in problems])
    return mask, values


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
    """Every weight the same number. Every bias is 0: then nothing but the mask tells two units of a layer apart."""
    return {**_beside(origin, True), **{name: torch.full_like(origin.theta0[name], origin.value) for name in mask}}


def sign_constant(origin: Origin, mask: Tensors) -> dict[str, Tensor]:
    """sign(theta0) times the standard deviation of that tensor's dense theta0 (Zhou et al. 2019, "constant")."""
    return {
        **_beside(origin, False),
        **{name: origin.theta0[name].sign() * _spread(origin.theta0[name]) for name in mask},
    }


def random_sign_constant(origin: Origin, mask: Tensors) -> dict[str, Tensor]:
    """The sizes of `sign_constant` with signs drawn at random (Zhou et al. 2019)."""
    generator = torch.Generator().manual_seed(origin.stream("random_sign"))
    signs = {name: torch.randint(2, kept.shape, generator=generator) * 2.0 - 1.0 for name, kept in mask.items()}
    return {**_beside(origin, False), **{name: signs[name] * _spread(origin.theta0[name]) for name in mask}}


def _beside(origin: Origin, usually_zero: bool) -> dict[str, Tensor]:
    """What a start of one size has beside its weights: theta0, but for biases that are 0."""
    zero = usually_zero if origin.zero_biases is None else origin.zero_biases
    return {**origin.theta0, **{name: torch.zeros_like(origin.theta0[name]) for name in origin.biases if zero}}


def _spread(values: Tensor) -> Tensor:
    """Standard deviation over the whole tensor, as a population."""
    return values.std(correction=0)


def _copied(origin: Origin) -> Origin:
    return replace(origin, mask=_cloned(origin.mask), theta0=_cloned(origin.theta0), rewound=_cloned(origin.rewound))


def _cloned(tensors: Tensors) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _wrong_masks(mask: object, origin: Origin) -> Iterator[str]:
    wanted = origin.mask
    if not isinstance(mask, Mapping) or set(mask) != set(wanted):
        yield f"must return a mask for each of {', '.join(wanted)}, and for nothing else"
        return
    for name, kept in wanted.items():
        found = mask[name]
        if not isinstance(found, Tensor) or (found.dtype, found.shape) != (torch.bool, kept.shape):
            yield f"must return a bool tensor of shape {tuple(kept.shape)} for {name}, not {_told(found)}"
        elif int(found.sum()) != int(kept.sum()):
            yield f"keeps {int(found.sum())} weights of {name}, must keep {int(kept.sum())} as the round's mask does"


def _wrong_values(values: object, origin: Origin) -> Iterator[str]:
    wanted = origin.theta0
    if not isinstance(values, Mapping) or set(values) != set(wanted):
        yield f"must return every parameter and buffer ({', '.join(wanted)}), and nothing else"
        return
    diverged = any(bool(tensor.isnan().any()) for tensor in origin.rewound.values())
    for name, value in wanted.items():
        found = values[name]
        if not isinstance(found, Tensor) or (found.dtype, found.shape) != (value.dtype, value.shape):
            yield f"must return a {value.dtype} tensor of shape {tuple(value.shape)} for {name}, not {_told(found)}"
        elif not diverged and bool(found.isnan().any()):
            yield f"returned NaN in {name}"


def _told(found: object) -> str:
    return f"{found.dtype} of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__


def _name(rule: Callable[..., object]) -> str:
    return f"{rule.__module__}:{getattr(rule, '__qualname__', type(rule).__name__)}"
