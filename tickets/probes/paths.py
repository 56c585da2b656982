"""Paths from the inputs to the outputs of a network that is a chain, through its surviving weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tickets.stack.chain import Chain, Link


@dataclass(frozen=True)
class Reached:
    """What of a layer lies on paths.

    Parameters
    ----------
    weights
        The number of surviving weights that lie on a path from an input to an output.
    led_to
        Of each unit or channel that the layer reads, whether a path from an input leads to it, (inputs,) bool.
    leads_on
        Of each unit, whether a path to an output leads from it, (units,) bool.
    units
        Of each unit, whether it lies on a path, (units,) bool.
    dead
        Of each unit, whether no surviving weight leads to it or none leads from it, (units,) bool. The last layer's
        units are the outputs, from which none needs to lead.
    """

    weights: int
    led_to: Tensor
    leads_on: Tensor
    units: Tensor
    dead: Tensor

    def inputs(self, mask: Tensor) -> Tensor:
        """Whether each input of the layer's tensor lies on a path, (inputs,) bool.

        mask: the layer's, (units, inputs, ...). A Linear layer that reads an image has several inputs of one channel.
        """
        used = (mask.flatten(2).any(2) if mask.dim() > 2 else mask) & self.leads_on.unsqueeze(1)
        return used.any(0) & self.led_to.repeat_interleave(mask.shape[1] // len(self.led_to))


def connections(chain: Chain, masks: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int]]) -> list[Tensor] | None:
    """The number of surviving weights from each input to each unit of each layer, (units, inputs) float64.

    A unit of a convolution is a channel, and the entries of a kernel are weights beside one another. A Linear layer
    that reads an image reads its channels, with a weight for each pixel. A layer without a mask counts as whole.

    Parameters
    ----------
    chain
        The network.
    masks
        Of one network, bool.
    shapes
        Of every parameter, by name.

    Returns
    -------
    list of Tensor or None
        A matrix for each link; None if the masks are of a network with other widths.
    """
    found: list[Tensor] = []
    units = chain.links[0].inputs[0]
    for link in chain.links:
        mask = masks.get(link.weight)
        if mask is None:
            mask = torch.ones(tuple(shapes[link.weight]), dtype=torch.bool)
        if tuple(mask.shape) != tuple(shapes[link.weight]):
            return None
        found.append(_matrix(link, mask, units))
        units = len(mask)
    return found


def _matrix(link: Link, mask: Tensor, units: int) -> Tensor:
    """(units, inputs): how many surviving weights lead from what the layer before computes to each unit."""
    whole = mask.reshape(len(mask), units, -1) if link.kernel is None else mask.flatten(2)
    return whole.sum(2, dtype=torch.float64)


def count_paths(matrices: Sequence[Tensor]) -> float:
    """The number of sequences of surviving weights, one of each layer, that lead from an input to an output.

    Each weight reads the unit (of a convolution: the channel) that the one before it computes. Exact up to 2**53;
    infinite where float64 has no such number.
    """
    to = torch.ones(matrices[0].shape[1], dtype=torch.float64)
    for matrix in matrices:
        to = matrix @ to
    return float(to.sum())


def reach(matrices: Sequence[Tensor]) -> list[Reached]:
    """What of each layer lies on a path from an input to an output."""
    there = [(matrix > 0) for matrix in matrices]
    forward = [torch.ones(there[0].shape[1], dtype=torch.bool)]
    for matrix in there:
        forward.append((matrix & forward[-1]).any(1))
    backward = [torch.ones(there[-1].shape[0], dtype=torch.bool)]
    for matrix in reversed(there):
        backward.append((matrix & backward[-1].unsqueeze(1)).any(0))
    backward.reverse()
    found = []
    for place, (matrix, weights) in enumerate(zip(there, matrices, strict=True)):
        on_path = forward[place] & backward[place + 1].unsqueeze(1)
        leads_on = there[place + 1].any(0) if place + 1 < len(there) else torch.ones(len(matrix), dtype=torch.bool)
        found.append(
            Reached(
                weights=int((weights * on_path).sum()),
                led_to=forward[place],
                leads_on=backward[place + 1],
                units=forward[place + 1] & backward[place + 1],
                dead=~(matrix.any(1) & leads_on),
            )
        )
    return found
