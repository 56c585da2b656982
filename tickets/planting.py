"""The init `planted`: random values in which a known network is hidden (Fischer & Burkholz 2022, "Plant 'n' Seek").

Random units of each hidden layer host the units of the planted network; the weights between hosts, and the hosts'
biases, are set to its values. All other weights stay random, and a mask that keeps the planted ones alone removes them.

A ReLU network's units may be scaled by positive numbers, layer by layer, as its outputs are scaled with them. So the
planted weights of each layer are multiplied by one factor, which gives them the mean square of the random weights that
they replace: their magnitudes do not betray them. The network's outputs are then `scale` times those of the planted
network, with a scale that is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from tickets.binding import resolve
from tickets.catalogue import INITS
from tickets.config.types import Base, PlantedTarget
from tickets.errors import InputError
from tickets.initial import drawn, redraw, whole
from tickets.planted_networks import NETWORKS, PlantedNetwork
from tickets.seeds import stream

NAME = "planted"


@dataclass(frozen=True)
class Planting:
    """Where a network is planted.

    Attributes
    ----------
    masks
        The planted weights, bool, by the name of the weight: all weights between hosts that are not 0.
    scale
        What the outputs of the planted network are multiplied by, > 0.
    weight, bias
        The names of the last layer's.
    """

    masks: Mapping[str, Tensor]
    scale: float
    weight: str
    bias: str


@dataclass(frozen=True)
class PlantedTicket:
    """A planted network and the initial values that it is hidden in.

    Attributes
    ----------
    planting
        Where it is planted.
    values
        Every parameter and buffer before training, by name.
    """

    planting: Planting
    values: Mapping[str, Tensor]

    def restricted(self, masks: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """The initial values with all weights 0 but the planted ones, and the outputs scaled back.

        Parameters
        ----------
        masks
            Further masks, by the name of the weight, bool: planted weights outside of them are 0 too.
        """
        values = dict(self.values)
        for name, planted in self.planting.masks.items():
            kept = planted if masks is None or name not in masks else planted & masks[name].to(planted.device)
            values[name] = values[name] * kept
        for name in (self.planting.weight, self.planting.bias):
            values[name] = (values[name].double() / self.planting.scale).to(values[name].dtype)
        return values


@whole
def planted(
    module: nn.Module,
    seed: int,
    biases: str,
    *,
    target: PlantedTarget | None = None,
    base: Base = "kaiming_normal",
    exact: bool = False,
) -> Planting:
    """Fill a module with random values, and plant a network in them.

    Parameters
    ----------
    module
        A chain of Linear layers with ReLU between them.
    seed
        Of the places.
    biases
        Of the units that host nothing: "scaled" (see `tickets.initial.draw_biases`), "model" or "zeros".
    target
        The planted network: "circle", "relu" or "helix"; the one that solves the data set of this name.
    base
        The init of all other weights.
    exact
        Whether the outputs of the planted network are its own, and not `scale` times them. All layers are then
        multiplied by one more factor, and the planted weights of a sparse network may be recognised by their magnitude.

    Raises
    ------
    InputError
        If the module is no such chain, or too narrow, or has other inputs or outputs than the planted network.
    """
    draw = None if base == "pytorch" else partial(resolve(INITS[base].target))
    redraw(module, draw, biases)
    layers = _chain(module)
    network = _network(target, [layer for _, layer in layers])
    generator = torch.Generator().manual_seed(stream(seed, NAME))
    return _plant(layers, network, generator, exact)


def planted_ticket(build: Callable[[], nn.Module], init: Mapping[str, Any], seed: int) -> PlantedTicket:
    """The planted network of a start: a function of the arguments alone. See `initial_values`."""
    module, planting = drawn(build, init, seed)
    tensors = (*module.named_parameters(), *module.named_buffers())
    return PlantedTicket(planting, {name: tensor.detach().clone() for name, tensor in tensors})


def without_ticket(init: Mapping[str, Any]) -> dict[str, Any]:
    """The init of a fresh draw: the same random values with nothing planted, or `init` itself if it plants nothing.

    A control asks whether the initial values matter. With another planted network it would have a solution of its own
    wherever its mask is dense enough to keep it.
    """
    if init["name"] != NAME:
        return dict(init)
    return {"name": init["base"], "biases": init["biases"]}


def _plant(
    layers: Sequence[tuple[str, nn.Linear]], network: PlantedNetwork, generator: torch.Generator, exact: bool
) -> Planting:
    """Set the weights between hosts and the hosts' biases in-place."""
    hosts = [torch.arange(network.inputs)]
    for (_, layer), width in zip(layers[:-1], network.widths, strict=True):
        hosts.append(torch.randperm(layer.out_features, generator=generator)[:width])
    hosts.append(torch.arange(network.outputs))
    blocks = [torch.meshgrid(after, before, indexing="ij") for before, after in pairwise(hosts)]
    factors = [
        _root_mean_square(layer.weight[block].double()[weight != 0]) / _root_mean_square(weight[weight != 0])
        for (_, layer), (weight, _), block in zip(layers, network.layers, blocks, strict=True)
    ]
    if exact:
        common = math.prod(factors) ** (-1 / len(factors))
        factors = [factor * common for factor in factors]
    masks, scale = {}, 1.0
    for (name, layer), (weight, bias), block, units, factor in zip(
        layers, network.layers, blocks, hosts[1:], factors, strict=True
    ):
        scale *= factor
        there = weight != 0
        values = layer.weight[block].double()
        layer.weight[block] = torch.where(there, factor * weight, values).to(layer.weight.dtype)
        layer.bias[units] = (scale * bias).to(layer.bias.dtype)
        mask = torch.zeros(layer.weight.shape, dtype=torch.bool)
        mask[block] = there
        masks[f"{name}.weight"] = mask
    last = layers[-1][0]
    return Planting(masks, 1.0 if exact else scale, f"{last}.weight", f"{last}.bias")


def _root_mean_square(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def _chain(module: nn.Module) -> list[tuple[str, nn.Linear]]:
    """The Linear layers of a chain, by name."""
    parts = list(module.named_children()) if type(module) is nn.Sequential else []
    computing = [(name, part) for name, part in parts if type(part) not in (nn.Flatten, nn.Dropout)]
    kinds = [type(part) for _, part in computing]
    linear = [(name, part) for name, part in computing if type(part) is nn.Linear]
    trained = all(part.bias is not None and part.weight.requires_grad for _, part in linear)
    if not linear or kinds != [nn.Linear, nn.ReLU] * (len(linear) - 1) + [nn.Linear] or not trained:
        raise InputError(
            'model.init = "planted": a network is planted in a chain of Linear layers with biases and ReLU between '
            'them, and this model is none; write model = { name = "mlp", widths = [100, 100, 100] }, or another init'
        )
    return linear


def _network(target: str | None, layers: Sequence[nn.Linear]) -> PlantedNetwork:
    """The planted network of as many hidden layers. Raises InputError if it does not fit."""
    if target is None:
        raise InputError(f"model.init.target: is missing: it names the network that is planted, {', '.join(NETWORKS)}")
    if len(layers) < 2:
        raise InputError(
            f'model.init = "planted": the network for {target!r} needs a hidden layer or more, and this model has '
            "none; give model.widths, such as [100, 100, 100]"
        )
    network, problems = NETWORKS[target](len(layers) - 1), []
    has, needs = (layers[0].in_features, layers[-1].out_features), (network.inputs, network.outputs)
    if has != needs:
        problems.append(
            f"model.init.target = {target!r}: this network has {needs[0]} inputs and {needs[1]} outputs, and the model "
            f"for these data {has[0]} and {has[1]}; write data = {target!r}, or the target of these data"
        )
    widths = [layer.out_features for layer in layers[:-1]]
    if any(width < least for width, least in zip(widths, network.widths, strict=True)):
        problems.append(
            f"model.widths = {widths}: too narrow for model.init.target = {target!r}, which needs at least "
            f"{list(network.widths)} in {len(widths)} hidden layers"
        )
    if problems:
        raise InputError(problems)
    return network
