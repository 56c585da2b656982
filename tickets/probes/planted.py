"""The probe `planted`: how much of a planted ticket each network's mask keeps, and how accurate what it keeps is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tickets.errors import InputError
from tickets.planting import NAME, PlantedTicket, planted_ticket
from tickets.probes.networks import Networks, Tensors, stacked
from tickets.seeds import stream

_NO_TICKET = (
    'no ticket is planted in this run (model.init = {init!r}); write model.init = {{ name = "planted", target = '
    '"circle" }} with data = "circle" (or relu, helix), or leave the probe out'
)


def planted(networks: Networks) -> pd.DataFrame:
    """Compare every mask with the places of the ticket that is planted in the replicate's initial values.

    A row for each network; in every arm the ticket is the one that is planted in theta0. All counts are of prunable
    tensors, P the planted weights among N and S the survivors:

    | column | meaning |
    | --- | --- |
    | planted_weights, planted_density | P, and P / N |
    | kept | (P and S) / P: the share of the planted weights that survive |
    | by_chance | its expectation for a mask with as many survivors in each tensor, at random places |
    | precision | (P and S) / S: the share of the survivors that are planted; NaN without survivors |
    | jaccard | (P and S) / (P or S) |
    | planted_accuracy, planted_loss | test accuracy (or R2) and loss of the planted weights alone, at their initial
      values, with the hosts' biases; the outputs are scaled back (`tickets.planting`) |
    | kept_accuracy | the same of the planted weights that survive |

    Source: Fischer & Burkholz, "Plant 'n' Seek: Can You Find the Winning Ticket?", ICLR (2022).

    Raises
    ------
    InputError
        If the run's start plants no ticket.
    """
    tickets = _tickets(networks)
    counts = [_counts(networks.masks, place, tickets[label.replicate]) for place, label in enumerate(networks.labels)]
    replicates = {replicate: place for place, replicate in enumerate(tickets)}
    whole = [ticket.restricted() for ticket in tickets.values()]
    kept = [
        tickets[label.replicate].restricted({name: mask[place] for name, mask in networks.masks.items()})
        for place, label in enumerate(networks.labels)
    ]
    x, y = networks.examples.test_inputs, networks.examples.test_labels
    of_whole, of_kept = (networks.score(x, y, stacked(some, networks.device)).cpu().numpy() for some in (whole, kept))
    own = of_whole[[replicates[label.replicate] for label in networks.labels]]  # (R, 2): loss, accuracy
    table = pd.DataFrame(counts)
    table.insert(0, "network", np.arange(len(networks)))
    return table.assign(planted_accuracy=own[:, 1], planted_loss=own[:, 0], kept_accuracy=of_kept[:, 1])


def _tickets(networks: Networks) -> dict[int, PlantedTicket]:
    """The planted ticket of each replicate: they follow from the run's seed, and nothing of them is stored."""
    run = networks.run
    if run.model.init.name != NAME:
        raise InputError(f"probe 'planted': {_NO_TICKET.format(init=run.model.init.name)}")
    init = run.model.init.table
    replicates = dict.fromkeys(label.replicate for label in networks.labels)
    return {
        replicate: planted_ticket(networks.context.build, init, stream(run.seed, replicate, "initial"))
        for replicate in replicates
    }


def _counts(masks: Tensors, network: int, ticket: PlantedTicket) -> dict[str, float]:
    """The columns that are of the masks alone."""
    both = survivors = planted_weights = weights = 0
    by_chance = 0.0
    for name, every in masks.items():
        mask = every[network].cpu()
        here = ticket.planting.masks.get(name, torch.zeros_like(mask))
        both += _count(mask & here)
        survivors += _count(mask)
        planted_weights += _count(here)
        weights += mask.numel()
        by_chance += _count(here) * _count(mask) / mask.numel()
    return {
        "planted_weights": planted_weights,
        "planted_density": planted_weights / weights,
        "kept": both / planted_weights,
        "by_chance": by_chance / planted_weights,
        "precision": both / survivors if survivors else float("nan"),
        "jaccard": both / (planted_weights + survivors - both),
    }


def _count(mask: Tensor) -> int:
    return int(torch.count_nonzero(mask))
