"""The training examples that probes of the loss are measured on: the same for every network of a run."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from tickets.probes.networks import Networks
from tickets.seeds import stream
from tickets.stack.anatomy import Anatomy

_MEMORY = 2**26  # bytes for one forward pass and the derivatives after it


def chosen_examples(networks: Networks, count: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets of some training examples, in an order that is random but the same in all rounds.

    Parameters
    ----------
    networks
        Of the run.
    count
        How many, at least 1; all if there are no more.

    Returns
    -------
    tuple of Tensor
        (n, *input_shape) and (n,), on the networks' device.
    """
    targets = networks.examples.train_labels
    generator = torch.Generator().manual_seed(stream(networks.run.seed, "probe", "examples"))
    places = torch.randperm(len(targets), generator=generator)[:count].to(targets.device)
    return networks.examples.train_inputs[places], targets[places]


def examples_at_once(anatomy: Anatomy, copies: int) -> int:
    """How many examples one forward pass has, at least 1: so many of the architecture on every machine.

    copies: how often their activations are in memory at once.
    """
    return max(1, _MEMORY // (copies * max(1, anatomy.activations)))


def bytes_at_once(anatomy: Anatomy, copies: int) -> int:
    """Bytes of the activations of so many examples."""
    return copies * anatomy.activations * examples_at_once(anatomy, copies)


def pieces(inputs: Tensor, targets: Tensor, most: int) -> Iterator[tuple[Tensor, Tensor, float]]:
    """Copies of the examples, at most so many at a time, and the share of all that each piece is."""
    for x, y in zip(inputs.split(most), targets.split(most), strict=True):
        yield x.clone(), y.clone(), len(y) / len(targets)
