"""Masks: boolean tensors of the shape of a parameter; True keeps a weight, False prunes it."""

from __future__ import annotations

import torch
from torch import Tensor


def keep_highest(scores: Tensor, keep: int, alive: Tensor | None = None) -> Tensor:
    """The mask of the `keep` highest scores among the `alive` entries, with an exact count in case of ties.

    Among equal scores the lower flat index is kept, so that a tensor of equal scores loses exactly its share, from
    the end. NaN ranks below every number.

    Parameters
    ----------
    scores
        Any shape, any real type.
    keep
        How many entries to keep, from 0 to the number of `alive` entries.
    alive
        Bool, the shape of `scores`; None means every entry.

    Returns
    -------
    Tensor
        Bool, the shape of `scores`.

    Raises
    ------
    ValueError
        If there are not so many alive entries.
    """
    flat = scores.detach().reshape(-1)
    living = torch.ones_like(flat, dtype=torch.bool) if alive is None else alive.reshape(-1)
    ranked = torch.nan_to_num(flat.double(), nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    among = ranked if alive is None else ranked[living]
    if not 0 <= keep <= among.numel():
        raise ValueError(f"keep = {keep}: must be between 0 and the {among.numel()} entries that are alive")
    if keep == 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    # The lowest score that stays; all above it stay too, and of those equal to it the first ones.
    threshold = among.kthvalue(among.numel() - keep + 1).values
    mask = (ranked > threshold) & living
    equal = ((ranked == threshold) & living).nonzero()[:, 0]
    mask[equal[: keep - int(mask.sum())]] = True
    return mask.reshape(scores.shape)


def random_places(mask: Tensor, generator: torch.Generator) -> Tensor:
    """A mask that keeps as many entries as `mask` does, at places drawn uniformly from the whole tensor.

    Parameters
    ----------
    mask
        Bool, any shape.
    generator
        A CPU generator.

    Returns
    -------
    Tensor
        Bool, the shape and device of `mask`.
    """
    places = torch.randperm(mask.numel(), generator=generator)[: int(mask.sum())]
    drawn = torch.zeros(mask.numel(), dtype=torch.bool)
    drawn[places] = True
    return drawn.reshape(mask.shape).to(mask.device)
