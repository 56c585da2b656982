"""The probe `structure`: how many weights each unit and input has left, what is cut off, and the paths through it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from tickets.probes.networks import Networks
from tickets.probes.paths import Reached, connections, count_paths, reach
from tickets.probes.probe import without_trained, working_memory
from tickets.stack.anatomy import Anatomy

ALL = "all"
QUANTILES = {"min": 0.0, "low": 0.05, "median": 0.5, "high": 0.95, "max": 1.0}


def structure_bytes(anatomy: Anatomy) -> int:
    """Bytes that measuring one network takes: its connections in float64, and two masks of them."""
    return 10 * sum(math.prod(tensor.shape) for tensor in anatomy.prunable)


@without_trained
@working_memory(structure_bytes, one_by_one=True)
def structure(networks: Networks, units: bool = False) -> pd.DataFrame:
    """Describe the masks of a round's networks; their values are not used.

    A row for each network and prunable tensor, in the model's order, after a row of all of them together. A unit is one
    of the tensor's outputs (its first dimension: a neuron, a channel), an input what it reads (its second dimension).

    | column | meaning |
    | --- | --- |
    | tensor | the name of the tensor, or "all" |
    | weights, survivors | its weights, and those that survive |
    | units, inputs | their numbers |
    | units_cut | units to which no surviving weight of the tensor leads |
    | inputs_cut | inputs from which no surviving weight of the tensor leads: what is not read |
    | unit_mean | survivors by unit, their mean |
    | unit_min, unit_low, unit_median, unit_high, unit_max | their quantiles 0, 0.05, 0.5, 0.95 and 1 |
    | input_mean, input_min, ... | the same by input |
    | dead | units to which no surviving weight leads, or from which none leads on to the next layer |
    | effective | surviving weights that lie on a path from an input to an output |
    | paths | such paths: sequences of surviving weights, one of each layer (row "all" only) |

    In the row "all" the counts are sums over the tensors; `inputs`, `inputs_cut` and `input_...` are of the first
    tensor alone (what the network reads), and `unit_...` of all units together.

    `dead`, `effective` and `paths` are NaN unless the network is a chain (nn.Sequential of Linear and Conv2d layers
    with elementwise layers, pooling and Flatten between). A path of a convolution leads through one entry of a kernel;
    a Linear layer that reads an image has a weight for each pixel. `paths` is exact up to 2**53. A unit without inputs
    still gives what its bias is, the same for every example; biases are not regarded.

    Parameters
    ----------
    networks
        The networks.
    units
        Instead, a row for each unit and input: columns tensor, side ("unit" or "input"), place (from 0), survivors,
        and connected (whether it lies on a path from an input to an output: 1 or 0, NaN where that is not known).

    Source: Evci et al. (2022) and Vysogorets & Kempe (2023), "Connectivity Matters: Neural Network Pruning Through the
    Lens of Effective Sparsity".
    """
    anatomy = networks.context.anatomy
    shapes = {name: tuple(one.shape) for name, one in anatomy.module.named_parameters()}
    rows: list[dict[str, Any]] = []
    for index in range(len(networks)):
        masks = {name: mask[index].cpu() for name, mask in networks.masks.items()}
        matrices = connections(anatomy.chain, masks, shapes) if anatomy.chain is not None else None
        reached = {}
        if anatomy.chain is not None and matrices is not None:
            reached = dict(zip((link.weight for link in anatomy.chain.links), reach(matrices), strict=True))
        layers = [_Layer(name, mask, reached.get(name)) for name, mask in masks.items()]
        if units:
            found = [row for layer in layers for row in layer.each()]
        else:
            whole = _whole(layers, math.nan if matrices is None else count_paths(matrices))
            found = [whole, *(layer.row() for layer in layers)]
        rows += [{"network": index, **row} for row in found]
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Layer:
    """A tensor of a network: its mask, and what of it lies on paths; None where that is not known."""

    name: str
    mask: Tensor
    reached: Reached | None

    @property
    def by_unit(self) -> Tensor:
        """(units,)"""
        return self.mask.flatten(1).sum(1)

    @property
    def by_input(self) -> Tensor:
        """(inputs,)"""
        return self.mask.transpose(0, 1).flatten(1).sum(1)

    def row(self) -> dict[str, Any]:
        """The columns."""
        return {
            **_counts(self.name, [self], self.by_unit, self.by_input),
            "dead": float(self.reached.dead.sum()) if self.reached is not None else math.nan,
            "effective": float(self.reached.weights) if self.reached is not None else math.nan,
            "paths": math.nan,
        }

    def each(self) -> Iterator[dict[str, Any]]:
        """A row for each unit, then for each input."""
        reached = self.reached
        sides = {
            "unit": (self.by_unit, None if reached is None else reached.units),
            "input": (self.by_input, None if reached is None else reached.inputs(self.mask)),
        }
        for side, (survivors, connected) in sides.items():
            for place, count in enumerate(survivors.tolist()):
                on_path = math.nan if connected is None else float(connected[place])
                yield {"tensor": self.name, "side": side, "place": place, "survivors": count, "connected": on_path}


def _whole(layers: list[_Layer], paths: float) -> dict[str, Any]:
    """The row of all tensors together."""
    known = [layer.reached for layer in layers if layer.reached is not None]
    complete = len(known) == len(layers)
    return {
        **_counts(ALL, layers, torch.cat([layer.by_unit for layer in layers]), layers[0].by_input),
        "dead": float(sum(int(one.dead.sum()) for one in known)) if complete else math.nan,
        "effective": float(sum(one.weights for one in known)) if complete else math.nan,
        "paths": paths,
    }


def _counts(name: str, layers: list[_Layer], by_unit: Tensor, by_input: Tensor) -> dict[str, Any]:
    return {
        "tensor": name,
        "weights": sum(layer.mask.numel() for layer in layers),
        "survivors": sum(int(layer.mask.sum()) for layer in layers),
        "units": len(by_unit),
        "inputs": len(by_input),
        "units_cut": int((by_unit == 0).sum()),
        "inputs_cut": int((by_input == 0).sum()),
        **_spread("unit", by_unit),
        **_spread("input", by_input),
    }


def _spread(side: str, survivors: Tensor) -> Mapping[str, float]:
    """Mean and quantiles, interpolated linearly."""
    numbers = survivors.double()
    at = torch.quantile(numbers, torch.tensor(list(QUANTILES.values()), dtype=torch.float64))
    return {
        f"{side}_mean": float(numbers.mean()),
        **{f"{side}_{name}": float(value) for name, value in zip(QUANTILES, at, strict=True)},
    }
