"""The probe `overlap`: how many weights two masks have in common, and how many would be by chance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from tickets.measures import Label
from tickets.probes.networks import Networks
from tickets.probes.pairs import Pairs, arms_with_own_masks, is_ticket
from tickets.probes.probe import without_trained

ALL = "all"
"""The name of all prunable weights together, among the tensors."""


@without_trained
def overlap(networks: Networks) -> list[dict[str, Any]]:
    """Measure the overlap of masks: a row for each pair of masks and each prunable tensor, and one for all together.

    Pairs, in the column `between`, of the ticket and of the arms whose masks are not the round's:

    | between | pairs |
    | --- | --- |
    | replicates | the same arm and draw of two replicates of a cohort, each pair once. From 12 replicates on, each with the five before and the five after it |
    | arms | an arm with a mask of its own and the ticket, of one replicate |
    | rounds | a mask and the same replicate's, arm's and draw's in the round before. Nested masks, such as the ticket's, overlap by the ratio of their densities |

    Other columns: `with_replicate`, `with_round`, `with_arm` and `with_draw` (the network of the other mask); `tensor`
    (a prunable tensor's name; "all": every prunable weight together); `weights` (its number of weights); `kept`,
    `with_kept` and `common` (weights in the mask, in the other mask and in both); `jaccard` and `by_chance`, in [0, 1].

    `jaccard` is common / (kept + with_kept - common), NaN if both masks are empty.

    `by_chance` is what masks at random places that keep as many of each tensor have. They have m = kept x with_kept /
    weights in common on average (hypergeometric), so that it is m / (kept + with_kept - m), a ratio of means, and
    d / (2 - d) for two masks of density d. For "all" both sums are over tensors, since each keeps its own number:
    sum of m / sum of (kept + with_kept - m). Masks of one density for each tensor have a larger one than d / (2 - d)
    where their layers differ in density.

    Source of the index: Jaccard, Bull. Soc. Vaud. Sci. Nat. 37 (1901).
    """  # noqa: E501
    own = arms_with_own_masks(networks)
    pairs = Pairs(networks, trained=False)

    def has_mask(label: Label) -> bool:
        return is_ticket(label) or label.arm in own

    found = [
        *pairs.of_replicates(has_mask),
        *pairs.with_ticket("arms", lambda label: label.arm in own),
        *pairs.with_round_before(has_mask),
    ]
    return [
        {**pair.columns, **row}
        for pair in found
        for row in overlaps(
            {name: mask[pair.network] for name, mask in networks.masks.items()},
            {name: mask[pair.place] for name, mask in pair.among.masks.items()},
        )
    ]


def overlaps(masks: dict[str, Tensor], others: dict[str, Tensor]) -> Iterator[dict[str, Any]]:
    """Yields the columns of two masks for all tensors together, then for each tensor.

    Parameters
    ----------
    masks, others
        Bool, by prunable tensor, of its shape.
    """
    counts = {
        name: (mask.numel(), int(mask.sum()), int(others[name].sum()), int((mask & others[name]).sum()))
        for name, mask in masks.items()
    }
    met = {name: kept * with_kept / weights for name, (weights, kept, with_kept, _) in counts.items()}
    weights, kept, with_kept, common = (sum(column) for column in zip(*counts.values(), strict=True))
    yield _row(ALL, weights, kept, with_kept, common, sum(met.values()))
    for name, found in counts.items():
        yield _row(name, *found, met[name])


def _row(tensor: str, weights: int, kept: int, with_kept: int, common: int, met: float) -> dict[str, Any]:
    return {
        "tensor": tensor,
        "weights": weights,
        "kept": kept,
        "with_kept": with_kept,
        "common": common,
        "jaccard": _ratio(common, kept + with_kept),
        "by_chance": _ratio(met, kept + with_kept),
    }


def _ratio(common: float, both: int) -> float:
    """common / (both - common); NaN for 0 / 0."""
    return common / (both - common) if both else math.nan
