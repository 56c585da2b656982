"""Hidden layers of a chain of Linear layers: what each of their units is made of."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from tickets.errors import InputError
from tickets.stack.chain import layers_of
from tickets.stack.hooks import is_hooked

_BETWEEN = (
    nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Softplus, nn.Tanh, nn.Sigmoid, nn.Identity, nn.Dropout,
)  # fmt: skip


@dataclass(frozen=True)
class HiddenLayer:
    """A hidden layer: a Linear layer, what is applied to each of its outputs by itself, and the next Linear's weight.

    weight, bias, outgoing: names of parameters. name: the layer's, as its weight's is.
    """

    name: str
    width: int
    weight: str
    bias: str | None
    outgoing: str
    between: nn.Sequential


def hidden_layers(module: nn.Module) -> tuple[HiddenLayer, ...]:
    """The hidden layers of a chain of Linear layers, in order; none if it has but one Linear layer.

    Raises InputError if the model is anything else: what comes into a unit, and what goes out of it, is then
    not a row of one tensor and a column of another.
    """
    layers = layers_of(module) if type(module) is nn.Sequential and not is_hooked(module) else []
    if layers and type(layers[0][1]) is nn.Flatten and (layers[0][1].start_dim, layers[0][1].end_dim) == (1, -1):
        layers = layers[1:]
    linear = [index for index, (_, layer) in enumerate(layers) if type(layer) is nn.Linear]
    others = [layer for _, layer in layers if type(layer) is not nn.Linear]
    once = len({id(layers[index][1].weight) for index in linear}) == len(linear)
    in_chain = bool(linear) and linear[0] == 0 and linear[-1] == len(layers) - 1 and once
    if not in_chain or not all(type(layer) in _BETWEEN for layer in others):
        raise InputError(
            "probe 'units' or store.units = true: hidden units are counted in an nn.Sequential of an optional Flatten "
            f"and Linear layers with {', '.join(kind.__name__ for kind in _BETWEEN)} between them; this model is "
            "another; leave the probe out"
        )
    return tuple(_hidden(layers, first, second) for first, second in itertools.pairwise(linear))


def _hidden(layers: Sequence[tuple[str, nn.Module]], first: int, second: int) -> HiddenLayer:
    name, layer = layers[first]
    assert isinstance(layer, nn.Linear)
    between = nn.Sequential(*(copy.deepcopy(one) for _, one in layers[first + 1 : second])).eval()
    bias = None if layer.bias is None else f"{name}.bias"
    return HiddenLayer(name, layer.out_features, f"{name}.weight", bias, f"{layers[second][0]}.weight", between)
