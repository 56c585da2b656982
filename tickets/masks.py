"""Masks: which weights stay. Booleans with the shape of their tensor; True stays."""

from __future__ import annotations

import torch
from torch import Tensor


def keep_highest(scores: Tensor, keep: int, alive: Tensor | None = None) -> Tensor:
    """The mask of the `keep` highest scores among the `alive` entries; exactly so many, whatever the ties.

    Among equal scores the lower flat index stays, so a tensor whose scores are all the same loses exactly
    its share, from the end. A NaN ranks below every number.

    scores: any shape, any real type. alive: bool, the same shape; None means every entry.
    keep: 0 to the number of alive entries, else ValueError. Returns bool, the shape of `scores`.
    """
    flat = scores.detach().reshape(-1)
    candidates = torch.arange(flat.numel(), device=flat.device) if alive is None else alive.reshape(-1).nonzero()[:, 0]
    if not 0 <= keep <= candidates.numel():
        raise ValueError(f"keep = {keep}: must be between 0 and the {candidates.numel()} entries that are alive")
    ranked = torch.nan_to_num(flat[candidates].double(), nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    # A stable sort leaves equal scores in the order of their index: the lower one comes first and stays.
    order = torch.sort(ranked, descending=True, stable=True).indices
    mask = torch.zeros(flat.numel(), dtype=torch.bool, device=flat.device)
    mask[candidates[order[:keep]]] = True
    return mask.reshape(scores.shape)


def random_places(mask: Tensor, generator: torch.Generator) -> Tensor:
    """A mask with as many entries as `mask` has, at places drawn uniformly from all of its tensor.

    mask: bool, any shape. generator: on the CPU. Returns bool, the same shape and device.
    """
    places = torch.randperm(mask.numel(), generator=generator)[: int(mask.sum())]
    drawn = torch.zeros(mask.numel(), dtype=torch.bool)
    drawn[places] = True
    return drawn.reshape(mask.shape).to(mask.device)
