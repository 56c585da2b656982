"""Masks that are computed before any training, for arms that are pruned at initialisation.

Frankle, Dziugaite, Roy & Carbin 2021 ("Pruning Neural Networks at Initialization: Why Are We Missing the Mark?")
compare such masks with magnitude pruning after training, and put three tests to each: shuffle the mask within each
layer, draw theta0 anew (the arm `pruned_at_init_reinit`), and keep the lowest scores instead of the highest.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tickets.arms import Origin
from tickets.config.types import Scope, ScoreOption, as_table
from tickets.masks import random_places
from tickets.selection import mask_at_start


def pruned_at_init(
    origin: Origin,
    *,
    score: ScoreOption = "snip",
    shuffle: bool = False,
    invert: bool = False,
    scope: Scope = "global",
) -> dict[str, Tensor]:
    """The mask that a score computes from theta0 alone, with as many weights as the round's mask keeps.

    It is computed anew in each round, from the dense network. The masks of two rounds are nested where the ranking of
    the weights does not depend on the round's density (magnitude, SNIP, GraSP), and need not be elsewhere (SynFlow, and
    random scores).

    Parameters
    ----------
    origin
        What the arm can be made from.
    score
        A name of `tickets.catalogue.SCORES`, "module:function", or a table with this name and options.
    shuffle
        Whether the places of the weights that stay are drawn anew within each tensor, which keeps as many.
    invert
        Whether the weights with the lowest scores stay. A score that prunes step by step, such as SynFlow, then prunes
        the highest in each step.
    scope
        "global": one ranking over all tensors. "layer": each tensor keeps as many weights as in the round's mask.
    """
    if all(bool(mask.all()) for mask in origin.mask.values()):
        return dict(origin.mask)  # nothing is pruned yet, whatever the scores
    table = dict(as_table(score))
    mask = mask_at_start(table.pop("name"), origin.candidate(scope, inverted=invert), table)
    if not shuffle:
        return mask
    generator = torch.Generator().manual_seed(origin.stream("shuffled_mask"))
    return {name: random_places(kept, generator) for name, kept in mask.items()}
