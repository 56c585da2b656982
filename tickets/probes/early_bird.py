"""The probe `early_bird`: when in training the mask that pruning would give stops changing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tickets.config.types import CountFromOne, PositiveFraction
from tickets.probes.networks import Networks
from tickets.probes.pairs import is_ticket
from tickets.probes.probe import alone, at_steps, every_step, working_memory
from tickets.stack.anatomy import Anatomy


def mask_bytes(anatomy: Anatomy) -> int:
    """Bytes that measuring one network takes: the masks of this step and of the one before it."""
    return 2 * sum(math.prod(tensor.shape) for tensor in anatomy.prunable)


@at_steps
@alone  # scores may be functions of the user's, or call the model
@every_step
@working_memory(mask_bytes)
def early_bird(networks: Networks, last: CountFromOne = 5, threshold: PositiveFraction = 0.1) -> list[dict[str, Any]]:
    """Compare the masks that pruning would give at successive evaluated steps: a row for each ticket and such step.

    The mask at a step is the one that the run's own score, scope and rate make of the network as it is then; the one at
    the last step is the next round's. Evaluated steps stand where You et al. have epochs: an `evaluate_every` of
    (training examples / batch size) steps is an epoch. The network before training (step 0, or the rewind step) is the
    first one.

    Columns:

    | column | content |
    | --- | --- |
    | distance | Hamming distance of the masks at this evaluated step and at the one before it, as a fraction of the weights that this round has; in [0, 1], NaN at the first step |
    | largest | the largest of the last `last` distances; NaN before there are as many |
    | drawn | whether `largest` is below the threshold here or was at an earlier step: the early-bird ticket is drawn at the first such step |
    | threshold | the option |
    | by_chance | distance expected of two masks at random places that keep as many of each tensor's weights: 2 k (n - k) / n of n weights of which k stay, over tensors |

    A rate r alone bounds the distance by 2 r, and masks at random places are 2 r (1 - r) apart: where `by_chance` is
    not far above the threshold, a ticket that is drawn says little. The score is computed at each evaluated step, which
    takes long for scores that take long. A network with values that are not finite has NaN from there on.

    Parameters
    ----------
    networks
        The networks; only tickets are pruned, and have rows.
    last
        Number of distances that must be below the threshold.
    threshold
        In (0, 1].

    Source: You et al., "Drawing Early-Bird Tickets", ICLR (2020), algorithm 1.
    """  # noqa: E501
    before = dict(networks.carry)
    finite = networks.finite.tolist()
    rows: list[dict[str, Any]] = []
    for place, label in enumerate(networks.labels):
        if not is_ticket(label):
            continue
        mask = networks.next_masks(place) if finite[place] else {}
        alive = {name: masks[place] for name, masks in networks.masks.items()}
        distances: list[float] = before[f"distances/{place}"].tolist() if f"distances/{place}" in before else []
        drawn = bool(distances) and bool(before[f"drawn/{place}"])
        now = _flat(mask, alive)
        if f"mask/{place}" in before:
            distances = [*distances, _distance(before[f"mask/{place}"], now)][-last:]
        largest = max(distances) if len(distances) == last and not any(map(math.isnan, distances)) else math.nan
        drawn = drawn or largest < threshold
        networks.carry[f"mask/{place}"] = now
        networks.carry[f"distances/{place}"] = torch.tensor(distances, dtype=torch.float64)
        networks.carry[f"drawn/{place}"] = torch.tensor(drawn)
        rows.append(
            {
                "network": place,
                "distance": distances[-1] if distances else math.nan,
                "largest": largest,
                "drawn": drawn,
                "threshold": threshold,
                "by_chance": by_chance(mask, alive) if mask else math.nan,
            }
        )
    return rows


def by_chance(mask: Mapping[str, Tensor], alive: Mapping[str, Tensor]) -> float:
    """The distance expected of two masks at random places: 2 k (n - k) / n weights of each tensor, over all weights.

    Parameters
    ----------
    mask
        Bool, by prunable tensor: k of its weights are in it.
    alive
        The n weights that it was chosen from.
    """
    counts = [(int(mask[name].sum()), int(weights.sum())) for name, weights in alive.items()]
    total = sum(weights for _, weights in counts)
    differing = sum(2 * kept * (weights - kept) / weights for kept, weights in counts if weights)
    return differing / total if total else math.nan


def _flat(mask: Mapping[str, Tensor], alive: Mapping[str, Tensor]) -> Tensor:
    """Of every weight of the round, whether it stays: (weights,) bool; empty for a network without a mask."""
    parts = [mask[name][weights] for name, weights in alive.items()] if mask else []
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.bool)


def _distance(one: Tensor, other: Tensor) -> float:
    """The fraction of weights that are in one of the masks alone; NaN where a mask is not there."""
    if len(one) != len(other) or not len(one):
        return math.nan
    return int((one != other).sum()) / len(one)
