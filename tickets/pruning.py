"""Pruning: from scores to masks, by exact counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tickets.masks import keep_highest


@dataclass(frozen=True)
class Budget:
    """How many weights remain after a pruning.

    Attributes
    ----------
    total
        Weights that remain in all prunable tensors together.
    by_tensor
        Weights that remain in each tensor, by parameter name; they sum to `total`. None: one ranking over all tensors
        decides how many remain in each (scope "global").
    """

    total: int
    by_tensor: Mapping[str, int] | None = None

    @classmethod
    def of(cls, masks: Mapping[str, Tensor], scope: str) -> Budget:
        """As many weights as these masks keep: of each tensor (scope "layer"), or in all ("global")."""
        counts = {name: int(mask.sum()) for name, mask in masks.items()}
        return cls(sum(counts.values()), counts if scope == "layer" else None)

    @classmethod
    def after_rates(cls, masks: Mapping[str, Tensor], rates: Mapping[str, float]) -> Budget:
        """What remains after each tensor loses its own share of its surviving weights.

        Parameters
        ----------
        masks
            By parameter name, bool: the weights that survive before the pruning.
        rates
            By parameter name, the share that goes, in [0, 1].
        """
        counts = {name: _after(int(mask.sum()), rates[name]) for name, mask in masks.items()}
        return cls(sum(counts.values()), counts)

    @classmethod
    def after_rate(cls, masks: Mapping[str, Tensor], rate: float) -> Budget:
        """What remains after all tensors together lose `rate`, in [0, 1], of their surviving weights."""
        return cls(_after(sum(int(mask.sum()) for mask in masks.values()), rate))

    def at(self, fraction: float, masks: Mapping[str, Tensor]) -> Budget:
        """What remains after a fraction of this pruning, on an exponential schedule.

        Of n surviving weights, of which m are to remain, round(n * (m / n) ** fraction) remain (halves to even):
        the density falls by the same factor in each of several equal fractions (Tanaka et al. 2020, section 6).

        Parameters
        ----------
        fraction
            In [0, 1]. 0: nothing is pruned yet; 1: this budget.
        masks
            By parameter name, bool: the weights that survive before the pruning.

        Raises
        ------
        ValueError
            If the fraction is outside [0, 1].
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f"fraction = {fraction}: must be between 0 and 1")
        surviving = {name: int(mask.sum()) for name, mask in masks.items()}
        if self.by_tensor is None:
            return Budget(_on_the_way(sum(surviving.values()), self.total, fraction))
        counts = {name: _on_the_way(surviving[name], keep, fraction) for name, keep in self.by_tensor.items()}
        return Budget(sum(counts.values()), counts)


def removed(surviving: int, rate: float) -> int:
    """How many of `surviving` weights go at `rate`: round(rate * surviving), halves to even.

    Raises
    ------
    ValueError
        If the rate is outside [0, 1].
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate = {rate}: must be between 0 and 1")
    return round(rate * surviving)


def prune(scores: Mapping[str, Tensor], masks: Mapping[str, Tensor], budget: Budget) -> dict[str, Tensor]:
    """The masks of the weights with the highest scores, exactly as many as the budget says.

    A weight that is pruned already stays pruned, whatever its score (Frankle & Carbin 2019, section 2). Among equal
    scores the earlier tensor keeps its weight, then the lower flat index.

    Parameters
    ----------
    scores
        By parameter name, of the tensor's shape, any real type.
    masks
        By parameter name, bool, of the tensor's shape: the weights that survive before the pruning.
    budget
        How many weights remain.

    Returns
    -------
    dict of str to Tensor
        By parameter name, bool, of the tensor's shape.

    Raises
    ------
    ValueError
        If more weights are to remain than survive.
    """
    if budget.by_tensor is not None:
        return {name: keep_highest(scores[name], budget.by_tensor[name], mask) for name, mask in masks.items()}
    ranked = torch.cat([scores[name].reshape(-1).double() for name in masks])
    alive = torch.cat([mask.reshape(-1) for mask in masks.values()])
    pieces = keep_highest(ranked, budget.total, alive).split([mask.numel() for mask in masks.values()])
    return {name: piece.reshape(mask.shape).clone() for (name, mask), piece in zip(masks.items(), pieces, strict=True)}


def _after(surviving: int, rate: float) -> int:
    return surviving - removed(surviving, rate)


def _on_the_way(surviving: int, remaining: int, fraction: float) -> int:
    if surviving == 0:
        return 0
    return round(surviving * math.pow(remaining / surviving, fraction))
