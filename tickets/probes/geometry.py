"""The probe `geometry`: what each hidden layer does to angles and distances of inputs before training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from tickets.arc_cosine import cosine_after, cosines, distance_after
from tickets.errors import InputError
from tickets.models.scale import Scale
from tickets.probes.networks import Networks, Tensors
from tickets.probes.probe import without_trained, working_memory
from tickets.probes.units import effective_rank
from tickets.stack.anatomy import Anatomy
from tickets.stack.hidden import NO_HIDDEN_LAYERS, HiddenLayer

EXAMPLES = 64  # that are looked at
DEGREES = 180 / math.pi
ACTIVATION = nn.ReLU  # that the arc-cosine kernel of degree 1 is of
_IDLE = (nn.Dropout, nn.Identity)  # that do nothing in evaluation mode


def geometry_bytes(anatomy: Anatomy) -> int:
    """Bytes that measuring one network takes: a layer's weights and outputs in float64, and some numbers per pair."""
    shapes = {name: parameter.shape for name, parameter in anatomy.module.named_parameters()}
    layers = anatomy.hidden or ()
    weights = (8 * math.prod(shapes[layer.weight]) + 32 * EXAMPLES * layer.width for layer in layers)
    return max(weights, default=0) + 96 * EXAMPLES**2


@without_trained
@working_memory(geometry_bytes, one_by_one=True)
def geometry(networks: Networks) -> pd.DataFrame:
    """Measure how each hidden layer changes angles and distances of examples, before training.

    A row for each network and hidden layer, in the model's order, of the values that training started from, pruned
    weights included, and of the first EXAMPLES validation examples in evaluation mode. The columns that compare with
    Gaussian weights do so by the arc-cosine kernel (see tickets/arc_cosine.py), with J for its cosine.

    | column | meaning |
    | --- | --- |
    | layer, place, width | the name of the layer's module, its place from 1, its units |
    | distance_median, distance_mean | of all pairs: the distance after the layer over that before it |
    | distance_kernel | the median of the distance after the layer over the root mean square distance that Gaussian |
    |                 | weights give it, with the mean square of the layer's own weights (zeros included) as variance |
    | angle_before, angle_after | the mean angle of all pairs before and after the layer, in degrees |
    | angle_kernel | the mean angle after `place` layers of Gaussian weights, from the network's inputs |
    | angle_smallest | the smallest angle of a pair after the layer, in degrees |
    | deviation, deviation_max | root mean square and largest absolute difference of the cosine after the layer and |
    |                          | that after `place` layers of Gaussian weights |
    | deviation_layer | root mean square difference of the cosine after the layer and J of the one before the layer |
    | correlation | of the cosines after the layer with those after `place` layers of Gaussian weights, over pairs |
    | class_separation | the mean angle of pairs of different classes over that of pairs of one class, after the layer |
    | effective_rank | exp of the entropy of the singular values, as shares, of the centred outputs |
    | dead | units that are 0 for every example |
    | lost | examples whose outputs are all 0 |

    Two examples that are both lost have an angle of 0 degrees, a lost one and another 90 degrees. Pairs of equal
    examples before the layer are left out of the distances. The kernel has no biases: those of the network are used
    where something is measured, and left out where it is expected. After a layer whose activation is not ReLU the
    columns that compare with Gaussian weights are NaN; `correlation` is NaN where all cosines are the same, and
    `class_separation` where there are no classes, or no angle between examples of one class. A layer
    with numbers that are not finite has NaN in every measure, and so have all with a single example.

    Raises
    ------
    InputError
        If the model is not a chain of Linear layers.

    Source: Cho & Saul, "Kernel methods for deep learning", NeurIPS (2009); effective rank: Roy & Vetterli, EUSIPCO
    (2007).
    """
    layers = networks.context.anatomy.hidden
    if layers is None:
        raise InputError(f"probe 'geometry': {NO_HIDDEN_LAYERS}; leave the probe out")
    x, y = networks.examples.validation_inputs, networks.examples.validation_labels
    rows: list[dict[str, Any]] = []
    for network in range(len(networks)):
        values = {name: value[network] for name, value in networks.initial.items()}
        rows += ({"network": network, **row} for row in measure_geometry(layers, values, x, y))
    return pd.DataFrame(rows, columns=None if rows else ["network", "layer", "place", "width", *MEASURES])


MEASURES = (
    "distance_median",
    "distance_mean",
    "distance_kernel",
    "angle_before",
    "angle_after",
    "angle_kernel",
    "angle_smallest",
    "deviation",
    "deviation_max",
    "deviation_layer",
    "correlation",
    "class_separation",
    "effective_rank",
    "dead",
    "lost",
)
_OF_KERNEL = ("distance_kernel", "angle_kernel", "deviation", "deviation_max", "deviation_layer", "correlation")


@torch.no_grad()
def measure_geometry(
    layers: Sequence[HiddenLayer], parameters: Tensors, x: Tensor, y: Tensor
) -> Iterator[dict[str, Any]]:
    """The rows of one network, see `geometry`.

    Parameters
    ----------
    layers
        The hidden layers, in order.
    parameters
        Every parameter by name.
    x
        Examples, (n, *input_shape).
    y
        Their targets; classes if they are (n,) and whole numbers.
    """
    outputs = x[:EXAMPLES].flatten(1).double()  # (n, in)
    expected, as_kernel = _of_pairs(cosines(outputs)), True
    for place, layer in enumerate(layers, 1):
        inputs, weight = outputs, parameters[layer.weight].double()
        linear = inputs @ weight.T
        if layer.bias is not None:
            linear = linear + parameters[layer.bias].double()
        outputs = layer.between(linear)
        expected, as_kernel = cosine_after(expected), as_kernel and is_relu(layer.between)
        row: dict[str, float] = dict.fromkeys(MEASURES, math.nan)
        if len(outputs) > 1 and bool(outputs.isfinite().all()):
            row = {
                **_measured(inputs, outputs),
                **_compared(inputs, outputs, expected, _factor(layer.between) * weight),
            }
            row["class_separation"] = _separation(outputs, y[:EXAMPLES])
            row = {name: math.nan if name in _OF_KERNEL and not as_kernel else row[name] for name in MEASURES}
        yield {"layer": layer.name, "place": place, "width": layer.width, **row}


def is_relu(between: nn.Module) -> bool:
    """Whether what follows a layer in evaluation mode is ReLU alone, but for factors greater than 0."""
    active = [type(one) for one in between.children() if not isinstance(one, (*_IDLE, Scale))]
    return active == [ACTIVATION] and all(one.factor > 0 for one in between.children() if isinstance(one, Scale))


def _factor(between: nn.Module) -> float:
    """What the layers after a layer multiply by."""
    return math.prod(one.factor for one in between.children() if isinstance(one, Scale))


def _measured(inputs: Tensor, outputs: Tensor) -> dict[str, float]:
    """What a layer does to examples, (n, in) to (n, width), without an expectation."""
    apart = _distances(inputs)
    ratio = (_distances(outputs) / apart)[apart > 0]
    before, after = (_of_pairs(cosines(one)).arccos() * DEGREES for one in (inputs, outputs))
    return {
        "distance_median": _median(ratio),
        "distance_mean": float(ratio.mean()),
        "angle_before": float(before.mean()),
        "angle_after": float(after.mean()),
        "angle_smallest": float(after.min()),
        "effective_rank": float(effective_rank(outputs[None])),
        "dead": float((outputs == 0).all(0).sum()),
        "lost": float((outputs == 0).all(1).sum()),
    }


def _compared(inputs: Tensor, outputs: Tensor, expected: Tensor, weight: Tensor) -> dict[str, float]:
    """The columns that compare with Gaussian weights. expected: the cosines of pairs after as many such layers."""
    before, after = _of_pairs(cosines(inputs)), _of_pairs(cosines(outputs))
    first, second = _pairs(inputs)
    lengths = inputs.norm(dim=1)
    distance = distance_after((lengths[first], lengths[second]), before, len(weight), weight.square().mean())
    ratio = (_distances(outputs) / distance)[_distances(inputs) > 0]
    difference = after - expected
    return {
        "distance_kernel": _median(ratio),
        "angle_kernel": float((expected.arccos() * DEGREES).mean()),
        "deviation": float(difference.square().mean().sqrt()),
        "deviation_max": float(difference.abs().max()),
        "deviation_layer": float((after - cosine_after(before)).square().mean().sqrt()),
        "correlation": _correlation(after, expected),
    }


def _separation(outputs: Tensor, y: Tensor) -> float:
    """`class_separation`. y: targets, (n,) whole numbers for classes."""
    if y.ndim != 1 or y.is_floating_point():
        return math.nan
    same = _of_pairs(y[:, None] == y)
    angles = _of_pairs(cosines(outputs)).arccos()
    within = float(angles[same].mean())  # NaN without a pair
    return float(angles[~same].mean()) / within if within > 1e-6 else math.nan


def _pairs(rows: Tensor) -> Tensor:
    """The places of the two rows of each pair, (2, pairs)."""
    return torch.triu_indices(len(rows), len(rows), 1, device=rows.device)


def _of_pairs(matrix: Tensor) -> Tensor:
    """(n, n) to (pairs,)."""
    first, second = _pairs(matrix)
    return matrix[first, second]


def _distances(rows: Tensor) -> Tensor:
    """(pairs,): from the differences themselves, so that those of equal rows are exactly 0."""
    return torch.nn.functional.pdist(rows)


def _median(values: Tensor) -> float:
    return float(values.quantile(0.5)) if len(values) else math.nan


def _correlation(one: Tensor, other: Tensor) -> float:
    """Pearson's, NaN where either has no spread but that of rounding."""
    both = torch.stack([one - one.mean(), other - other.mean()])
    lengths = both.norm(dim=1)
    if bool((lengths <= 1e-9 * math.sqrt(len(one))).any()):
        return math.nan
    return float(both[0] @ both[1] / lengths.prod())
