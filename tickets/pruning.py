"""Pruning: from scores to the next round's masks, by exact counts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tickets.masks import keep_highest


def removed(surviving: int, rate: float) -> int:
    """How many of `surviving` weights go at `rate`: round(rate * surviving), halves to even."""
    if not 0 <= rate <= 1:
        raise ValueError(f"rate = {rate}: must be between 0 and 1")
    return round(rate * surviving)


def prune_by_layer(
    scores: Mapping[str, Tensor], masks: Mapping[str, Tensor], rates: Mapping[str, float]
) -> dict[str, Tensor]:
    """Each tensor loses its own share of its surviving weights, those with the lowest scores.

    scores, masks: by parameter name, the tensor's shape; masks are bool. rates: by parameter name, in [0, 1].
    A weight that is pruned already stays pruned, whatever its score (Frankle & Carbin 2019, section 2).
    """
    pruned = {}
    for name, mask in masks.items():
        surviving = int(mask.sum())
        pruned[name] = keep_highest(scores[name], surviving - removed(surviving, rates[name]), mask)
    return pruned


def prune_globally(scores: Mapping[str, Tensor], masks: Mapping[str, Tensor], rate: float) -> dict[str, Tensor]:
    """All prunable tensors are ranked together and lose `rate` of their surviving weights.

    scores, masks: by parameter name, the tensor's shape; masks are bool. At a tie the earlier tensor keeps its
    weight, then the lower flat index (Frankle & Carbin 2019, section 4).
    """
    ranked = torch.cat([scores[name].reshape(-1).double() for name in masks])
    alive = torch.cat([mask.reshape(-1) for mask in masks.values()])
    surviving = int(alive.sum())
    kept = keep_highest(ranked, surviving - removed(surviving, rate), alive)
    parts = kept.split([mask.numel() for mask in masks.values()])
    return {name: part.reshape(mask.shape).clone() for (name, mask), part in zip(masks.items(), parts, strict=True)}
