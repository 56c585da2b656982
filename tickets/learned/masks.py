"""Masks from scores: the highest, or a sample. Pure functions of the scores of R networks, (R, *shape)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tickets.learned.learning import Method
from tickets.masks import keep_highest

TOLERANCE = 1e-5  # of the expected number of weights, as a share of all weights of the tensor
MOST_STEPS = 60  # of the search for an offset


def highest(method: Method, scores: Tensor, counts: Tensor) -> Tensor:
    """The mask of the highest scores of each network, with exact counts.

    Parameters
    ----------
    method
        "edge_popup": the highest absolute values. "supermask": the highest scores, which must have the noise of
        `logistic` added to them.
    scores
        (R, *shape).
    counts
        (R,) int64, how many weights each network keeps. Among equal scores the lower flat index stays.

    Returns
    -------
    Tensor
        (R, *shape), bool.
    """
    ranked = scores.detach().abs() if method == "edge_popup" else scores.detach()
    return torch.stack([_highest(own, int(count)) for own, count in zip(ranked, counts, strict=True)])


def _highest(scores: Tensor, keep: int) -> Tensor:
    """As keep_highest, and faster on a CPU, where NumPy selects with vector instructions; it is called at every step.

    Where it cannot be (another type, another device, NaN), it is keep_highest.
    """
    if scores.is_cuda or scores.dtype not in (torch.float32, torch.float64) or not 0 < keep < scores.numel():
        return keep_highest(scores, keep)
    flat = scores.reshape(-1)
    place = flat.numel() - keep
    parted = np.partition(flat.numpy(), place)
    if np.isnan(parted[place:]).any():  # they are last
        return keep_highest(scores, keep)
    threshold = float(parted[place])
    mask = flat > threshold
    equal = (flat == threshold).nonzero()[:, 0]
    mask[equal[: keep - int(mask.sum())]] = True
    return mask.reshape(scores.shape)


def probabilities(scores: Tensor, counts: Tensor) -> Tensor:
    """Sigmoids of the scores and an offset of each network, so that the expected number of weights is its count.

    The density of a mask of independent samples would otherwise be whatever the training makes it (Zhou et al. 2019
    leave it free); here all arms of a round have one density. The offset is found by Newton's method within a bracket:
    with the density d, logit(d) - max(scores) gives too few weights, and logit(d) - min(scores) too many.

    Parameters
    ----------
    scores
        (R, *shape).
    counts
        (R,) int64, 0 to the number of weights.

    Returns
    -------
    Tensor
        (R, *shape), whose sums differ from the counts by at most `TOLERANCE` times the number of weights. Exactly 0
        or 1 everywhere, where no weight or every weight is kept.
    """
    flat = scores.detach().flatten(1)
    weights = flat.shape[1]
    wanted = counts.to(flat).clamp(0, weights)
    logit = torch.logit(wanted / weights)
    low, high = logit - flat.amax(1), logit - flat.amin(1)
    offset = logit - flat.mean(1)
    found = torch.sigmoid(flat + offset[:, None])
    settled = (wanted == 0) | (wanted == weights)
    for _ in range(MOST_STEPS):
        excess = found.sum(1) - wanted
        if bool((settled | ~(excess.abs() > TOLERANCE * weights)).all()):
            break
        low, high = torch.where(excess < 0, offset, low), torch.where(excess > 0, offset, high)
        newton = offset - excess / (found * (1 - found)).sum(1)
        inside = (newton > low) & (newton < high)
        offset = torch.where(settled, offset, torch.where(inside, newton, (low + high) / 2))
        found = torch.sigmoid(flat + offset[:, None])
    found = torch.where(wanted[:, None] == 0, 0.0, torch.where(wanted[:, None] == weights, 1.0, found))
    return found.reshape(scores.shape)


def sample(chances: Sequence[Tensor], seeds: Sequence[int]) -> list[Tensor]:
    """A Bernoulli sample of each network's masks.

    Parameters
    ----------
    chances
        The probabilities of each tensor, (R, *shape).
    seeds
        One for each network. The numbers are drawn on the CPU, so that they are the same on every device.

    Returns
    -------
    list of Tensor
        Bool, of the shapes of `chances`.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return [
        torch.stack([torch.rand(own.shape, generator=one) for own, one in zip(chance, generators, strict=True)]).to(
            chance.device
        )
        < chance
        for chance in chances
    ]


def logistic(like: Tensor, seeds: Sequence[int]) -> Tensor:
    """Logistic noise: numbers L with P(s + L > 0) = sigmoid(s) for every s.

    So a weight with s + offset + L > 0 is kept by a Bernoulli sample of sigmoid(s + offset), and the weights with the
    highest s + L are such a sample whose offset gives exactly the wanted number of weights.

    Parameters
    ----------
    like
        (R, *shape), of the type and on the device of the result.
    seeds
        One for each network. The numbers are drawn on the CPU, so that they are the same on every device.
    """
    drawn = [
        torch.rand(like.shape[1:], generator=torch.Generator().manual_seed(seed), dtype=torch.float64) for seed in seeds
    ]
    return torch.logit(torch.stack(drawn), eps=2.0**-60).to(like)


def inverse_density(masks: Tensor) -> Tensor:
    """n_all / n_kept of each network's mask, (R, 1, ..., 1) of the default type; n_all where nothing is kept.

    masks: (R, *shape), bool.
    """
    kept = masks.flatten(1).sum(1).clamp(min=1)
    whole = torch.full_like(kept, masks[0].numel())  # a number over a tensor is rounded twice
    return (whole / kept).reshape(-1, *[1] * (masks.dim() - 1))
