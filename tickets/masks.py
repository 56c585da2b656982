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
        If `keep` is negative or larger than the number of `alive` entries.
    """
    flat = scores.detach().reshape(-1)
    candidates = torch.arange(flat.numel(), device=flat.device) if alive is None else alive.reshape(-1).nonzero()[:, 0]
    if not 0 <= keep <= candidates.numel():
        raise ValueError(f"keep = {keep}: must be between 0 and the {candidates.numel()} entries that are alive")
    ranked = torch.nan_to_num(flat[candidates].double(), nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    # A stable sort keeps equal scores in the order of their index: the lower one comes first and is kept.
    order = torch.sort(ranked, descending=True, stable=True).indices
    mask = torch.zeros(flat.numel(), dtype=torch.bool, device=flat.device)
    mask[candidates[order[:keep]]] = True
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
