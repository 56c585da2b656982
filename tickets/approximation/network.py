"""The random subnetwork as an nn.Module: random values and a mask, no training.

The layers next to a ReLU are Linear layers whose other weights are all pruned: `OwnUnits` (each unit reads one input)
and `OwnOutputs` (each unit is read by one output). They store the weights that a mask can keep, and compute the same as
the Linear layers that `plain` returns, which have a column for every input.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from tickets.approximation.construction import Settings, chosen, drawn_values, groups_of
from tickets.approximation.subset_sum import Subsets
from tickets.approximation.target import Layer


class OwnUnits(nn.Module):
    """A Linear layer of which each unit reads one source: an input, or, after the last one, the number 1.

    Parameters
    ----------
    source
        (units,) int64: the source of each unit.
    inputs
        The number of inputs.
    """

    source: Tensor

    def __init__(self, source: Tensor, inputs: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.weight = nn.Parameter(torch.zeros(len(source)), requires_grad=False)
        self.register_buffer("source", source, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs) to (b, units)."""
        with_one = torch.cat([x, x.new_ones(len(x), 1)], 1)
        return with_one[:, self.source] * self.weight

    def plain(self) -> nn.Linear:
        """The same as a Linear layer, whose other weights are 0."""
        linear = nn.Linear(self.inputs, len(self.source), dtype=self.weight.dtype)
        whole = torch.zeros(len(self.source), self.inputs + 1, dtype=self.weight.dtype)
        whole[torch.arange(len(self.source)), self.source] = self.weight
        with torch.no_grad():
            linear.weight.copy_(whole[:, :-1])
            linear.bias.copy_(whole[:, -1])
        return linear.requires_grad_(False)


class OwnOutputs(nn.Module):
    """A Linear layer without biases of which each output reads units of its own, as many as the others.

    Parameters
    ----------
    outputs, units
        The number of outputs, and of the units that each of them reads.
    """

    def __init__(self, outputs: int, units: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, units), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """(b, outputs * units) to (b, outputs)."""
        outputs, units = self.weight.shape
        return (x.view(-1, outputs, units) * self.weight).sum(2)

    def plain(self) -> nn.Linear:
        """The same as a Linear layer, whose other weights are 0."""
        linear = nn.Linear(self.weight.numel(), len(self.weight), bias=False, dtype=self.weight.dtype)
        with torch.no_grad():
            linear.weight.copy_(torch.block_diag(*self.weight.unsqueeze(1)))
        return linear.requires_grad_(False)


def skeleton(layers: Sequence[Layer], settings: Settings) -> nn.Sequential:
    """The random network for a target, with all its weights 0."""
    made: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for index, layer in enumerate(layers):
        first, second = _two_layers(layer, settings)
        made[f"layer{index}"] = nn.Sequential(OrderedDict(first=first, relu=nn.ReLU(), second=second))
        if layer.rectified:
            made[f"relu{index}"] = nn.ReLU()
    return nn.Sequential(made).eval()


def fill(network: nn.Sequential, layer: Layer, index: int, found: Subsets, settings: Settings) -> None:
    """Draw the random weights of one layer of the target, and keep those of the subsets that were found.

    A unit that no kept weight reads is pruned too.
    """
    first, second = network.get_submodule(f"layer{index}.first"), network.get_submodule(f"layer{index}.second")
    by_row = settings.construction == "row"
    (_fill_by_row if by_row else _fill_by_weight)(first, second, layer, index, found, settings)


def plain(network: nn.Sequential) -> nn.Sequential:
    """The same network as an nn.Sequential of Flatten, Linear and ReLU layers alone, with every pruned weight 0.

    It needs far more memory: for 784 inputs and 21 candidates, 784 * 21 * 784 weights in its first layer.
    """
    modules: list[nn.Module] = []
    for child in network:
        for layer in child if isinstance(child, nn.Sequential) else [child]:
            modules.append(layer.plain() if isinstance(layer, OwnUnits | OwnOutputs) else layer)
    return nn.Sequential(*modules)


def _two_layers(layer: Layer, settings: Settings) -> tuple[nn.Module, nn.Module]:
    outputs, inputs = layer.weight.shape
    groups = groups_of(layer, settings)
    if settings.construction == "row":
        units = settings.candidates * (2 if layer.signed else 1)
        first = nn.Linear(inputs, outputs * units, bias=layer.bias is not None).requires_grad_(False)
        for parameter in first.parameters():
            parameter.zero_()
        return first, OwnOutputs(outputs, units)
    source = torch.from_numpy(groups.source).repeat_interleave(settings.candidates)
    second = nn.Linear(len(source), outputs, bias=False).requires_grad_(False)
    second.weight.zero_()
    return OwnUnits(source, inputs), second


def _fill_by_weight(
    first: nn.Module, second: nn.Module, layer: Layer, index: int, found: Subsets, settings: Settings
) -> None:
    groups = groups_of(layer, settings)
    into = np.repeat(groups.into, settings.candidates)
    read = np.zeros(len(into), np.bool_)
    for row in range(len(layer.weight)):
        mask = chosen(Subsets(found.bits[row], found.sums[row]), settings.candidates)
        values = np.where(mask, drawn_values(layer, index, row, groups, settings), 0).reshape(-1)
        read |= mask.reshape(-1)
        _row(second, row).copy_(torch.from_numpy(values))
    _row(first, slice(None)).copy_(torch.from_numpy(np.where(read, into, 0)))


def _fill_by_row(
    first: nn.Module, second: nn.Module, layer: Layer, index: int, found: Subsets, settings: Settings
) -> None:
    groups, inputs = groups_of(layer, settings), layer.weight.shape[1]
    for row in range(len(layer.weight)):
        mask = chosen(Subsets(found.bits[row], found.sums[row]), settings.candidates).T  # (candidates, sources)
        values = np.where(mask.any(1), drawn_values(layer, index, row, groups, settings), 0)
        signs = (1, -1) if layer.signed else (1,)
        units = slice(row * len(signs) * len(mask), (row + 1) * len(signs) * len(mask))
        both = torch.from_numpy(np.concatenate([sign * mask for sign in signs]).astype(np.float32))
        _row(first, units).copy_(both[:, :inputs])
        if layer.bias is not None:
            _row(first, units, "bias").copy_(both[:, inputs])
        _row(second, row).copy_(torch.from_numpy(np.concatenate([sign * values for sign in signs])))


def _row(module: nn.Module, rows: int | slice, name: str = "weight") -> Tensor:
    parameter = module.get_parameter(name)
    return parameter.data[rows]
