"""How many weights remain after each pruning of a run: by its rates, or by its densities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from tickets.config import PruneConfig, Run
from tickets.pruning import Budget, removed
from tickets.stack.architecture import Prunable


def budget_after(
    config: PruneConfig, prunable: Sequence[Prunable], masks: Mapping[str, Tensor], round: int = 0
) -> Budget:
    """How many weights remain after the next pruning of a run.

    By rates: of n surviving weights, n - round(rate * n). By densities: round(density * n) of all n weights, whatever
    survives. Both of each tensor (scope "layer") or of all tensors together ("global"), and halves to even.

    Parameters
    ----------
    config
        The run's rates or densities, and its scope.
    prunable
        The prunable tensors.
    masks
        Bool, by prunable parameter: the weights that survive before the pruning.
    round
        The round that the pruning follows.
    """
    if config.densities:
        density = density_after(config.densities, round)
        sizes = {name: mask.numel() for name, mask in masks.items()}
        surviving = {name: int(mask.sum()) for name, mask in masks.items()}
        if config.scope == "global":
            return Budget(_share(density, sum(sizes.values()), sum(surviving.values())))
        counts = {name: _share(density, sizes[name], surviving[name]) for name in masks}
        return Budget(sum(counts.values()), counts)
    if config.scope == "global":
        return Budget.after_rate(masks, config.rate)
    return Budget.after_rates(masks, rates_by_tensor(config, prunable))


def rates_by_tensor(config: PruneConfig, prunable: Sequence[Prunable]) -> dict[str, float]:
    """The share of its surviving weights that each prunable tensor loses in a round, in scope "layer"."""

    def rate(tensor: Prunable) -> float:
        if tensor.output:
            return config.output_rate
        return config.conv_rate if tensor.convolution else config.rate

    return {tensor.name: rate(tensor) for tensor in prunable}


def density_after(densities: Sequence[float], round: int) -> float:
    """The density that is wanted after the pruning that follows a round.

    After the last round, where nothing more is trained, the share that the last pruning removed goes once more: the
    masks that are saved there, and probes that ask which weights would go next, have the meaning that they have for
    rates.
    """
    if round < len(densities):
        return densities[round]
    before, last = [1.0, *densities][-2:]
    return last * (last / before)


def planned_densities(run: Run, prunable: Sequence[Prunable]) -> tuple[float, ...]:
    """The density of each round of a run, from round 0 on. The counts are exact, so it is known before any training."""
    left = planned_weights(run, prunable)
    return tuple(weights / left[0] if left[0] else 1.0 for weights in left)


def planned_weights(run: Run, prunable: Sequence[Prunable]) -> tuple[int, ...]:
    """How many weights the ticket has left in each round, from round 0 on: counts that no score and no data change."""
    sizes = [math.prod(tensor.shape) for tensor in prunable]
    rates = [rates_by_tensor(run.prune, prunable)[tensor.name] for tensor in prunable]
    if run.prune.scope == "global":
        sizes, rates = [sum(sizes)], [run.prune.rate]
    left, found = list(sizes), [sum(sizes)]
    for number in range(run.rounds):
        if run.prune.densities:
            density = density_after(run.prune.densities, number)
            left = [_share(density, size, there) for size, there in zip(sizes, left, strict=True)]
        else:
            left = [there - removed(there, rate) for there, rate in zip(left, rates, strict=True)]
        found.append(sum(left))
    return tuple(found)


def _share(density: float, weights: int, surviving: int) -> int:
    """round(density * weights); no more than survive, for a pruned weight stays pruned."""
    return min(surviving, round(density * weights))
