"""The hidden layers of a chain of Linear layers."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass

from torch import nn

from tickets.stack.chain import ELEMENTWISE, Chain, Link

NO_HIDDEN_LAYERS = (
    "hidden units are counted in an nn.Sequential of an optional Flatten and Linear layers with "
    f"{', '.join(kind.__name__ for kind in ELEMENTWISE)} between them; this model is another"
)


@dataclass(frozen=True)
class HiddenLayer:
    """A hidden layer: a Linear layer, the elementwise layers after it, and the next Linear layer's weight.

    Parameters
    ----------
    name
        The layer's, without `.weight`.
    width
        Its number of units.
    weight, bias, outgoing
        Names of parameters: its own weight, (width, in), and bias, (width,) or None, and the next layer's weight.
    between
        What its outputs pass before the next layer, in evaluation mode.
    """

    name: str
    width: int
    weight: str
    bias: str | None
    outgoing: str
    between: nn.Sequential


def hidden_layers(chain: Chain | None) -> tuple[HiddenLayer, ...] | None:
    """The hidden layers of a chain, in order; () if it has one Linear layer only.

    None if the network is anything but a chain of Linear layers: the weights into and out of a unit are then not a row
    of one tensor and a column of another.
    """
    if chain is None or not chain.linear:
        return None
    return tuple(_hidden(first, second) for first, second in itertools.pairwise(chain.links))


def _hidden(link: Link, following: Link) -> HiddenLayer:
    between = nn.Sequential(*(copy.deepcopy(layer) for layer in link.between)).eval()
    name = link.weight.removesuffix(".weight")
    return HiddenLayer(name, link.outputs[0], link.weight, link.bias, following.weight, between)
