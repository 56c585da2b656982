"""The probe `units`: how many hidden units are distinct, and how well each layer keeps distinct inputs distinct."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tickets.errors import InputError
from tickets.probes.networks import Networks, Tensors
from tickets.probes.probe import at_steps, working_memory
from tickets.stack.anatomy import Anatomy
from tickets.stack.hidden import NO_HIDDEN_LAYERS, HiddenLayer

MEASURES = (
    "distinct",
    "distinct_within",
    "spread",
    "distance_low",
    "distance_median",
    "distance_high",
    "effective_rank",
)
TOLERANCE = 1e-3  # of the longest unit's length: two units nearer than that are alike in `distinct_within`
EXAMPLES = 64  # that the distances and the rank are measured on
QUANTILES = (0.05, 0.5, 0.95)  # distance_low, _median, _high


def unit_bytes(anatomy: Anatomy) -> int:
    """Bytes that measuring one network takes: a layer's unit vectors three times, and all their distances."""
    shapes = {name: parameter.shape for name, parameter in anatomy.module.named_parameters()}
    taken = [
        20 * layer.width * (shapes[layer.weight][1] + 1 + shapes[layer.outgoing][0]) + 32 * layer.width**2
        for layer in anatomy.hidden or ()
    ]
    return max(taken, default=0)


@at_steps
@working_memory(unit_bytes)
def units(networks: Networks) -> pd.DataFrame:
    """Measure the units of each hidden layer: a row for each network and layer, in the model's order.

    Columns: `layer` (the name of the layer's module), `width` (its units), then those of `measure_units`, on the
    validation examples.

    Raises
    ------
    InputError
        If the model is not a chain of Linear layers.
    """
    layers = networks.context.anatomy.hidden
    if layers is None:
        raise InputError(f"probe 'units' or store.units = true: {NO_HIDDEN_LAYERS}; leave the probe out")
    measured = measure_units(layers, networks.values, networks.examples.validation_inputs)  # (R, layers, measures)
    columns = {
        "network": np.repeat(np.arange(len(networks)), len(layers)),
        "layer": np.array([layer.name for layer in layers] * len(networks), dtype=object),
        "width": np.array([layer.width for layer in layers] * len(networks), dtype=np.int64),
    }
    return pd.DataFrame(columns | dict(zip(MEASURES, measured.flatten(0, 1).T.numpy(), strict=True)))


@torch.no_grad()
def measure_units(layers: Sequence[HiddenLayer], parameters: Tensors, x: Tensor) -> Tensor:
    """Measure the hidden units of every network: (R, layers, measures) float64 on the CPU, in the order of MEASURES.

    A unit's vector is its incoming weights, its bias and its outgoing weights. Two units with the same vector get the
    same gradient, so that a deterministic training keeps them the same.

    | measure | meaning |
    | --- | --- |
    | distinct | number of different vectors, bit for bit (0.0 and -0.0 are the same) |
    | distinct_within | units that are further than TOLERANCE x the longest vector's length from each before them |
    | spread | the largest distance of a unit from the first, over the longest vector's length |
    | distance_low, _median, _high | QUANTILES of the distance of two examples after the layer over that before it |
    | effective_rank | exp of the entropy of the singular values, as shares, of the layer's centred outputs |

    The distances and the rank are of the first EXAMPLES of x, in evaluation mode. Pairs of examples whose distance
    before the layer is 0 are left out (NaN if no pair is left); the rank of outputs that are all the same is 0. A layer
    with a number that is not finite has NaN in every measure.

    Parameters
    ----------
    layers
        The hidden layers, in order.
    parameters
        Every parameter, (R, *shape).
    x
        Examples, (n, *input_shape).

    Source of the effective rank: Roy & Vetterli, "The effective rank", EUSIPCO (2007).
    """
    networks = len(next(iter(parameters.values())))
    outputs = x[:EXAMPLES].flatten(1).expand(networks, -1, -1)  # (R, n, in)
    rows = []
    for layer in layers:
        inputs, outputs = outputs, _outputs(layer, parameters, outputs)
        vectors = _vectors(layer, parameters)
        alike = torch.stack([_distinct(vectors), *_near(vectors.double())], 1)
        apart = torch.stack([*_distances(inputs.double(), outputs.double()), effective_rank(outputs.double())], 1)
        finite = vectors.isfinite().all(2).all(1) & outputs.isfinite().all(2).all(1)
        rows.append(torch.cat([alike, apart], 1).where(finite.unsqueeze(1), torch.nan))
    return torch.stack(rows, 1).cpu() if rows else torch.empty(networks, 0, len(MEASURES), dtype=torch.float64)


def _outputs(layer: HiddenLayer, parameters: Tensors, x: Tensor) -> Tensor:
    """(R, n, in) to (R, n, width)."""
    linear = torch.bmm(x, parameters[layer.weight].transpose(1, 2))
    if layer.bias is not None:
        linear = linear + parameters[layer.bias].unsqueeze(1)
    outputs: Tensor = layer.between(linear)
    return outputs


def _vectors(layer: HiddenLayer, parameters: Tensors) -> Tensor:
    """Every unit's vector: (R, width, in + 1 + out)."""
    parts = [parameters[layer.weight], parameters[layer.outgoing].transpose(1, 2)]
    if layer.bias is not None:
        parts.insert(1, parameters[layer.bias].unsqueeze(2))
    return torch.cat([part.detach() for part in parts], 2)


def _distinct(units: Tensor) -> Tensor:
    """(R,): different rows of each network."""
    networks = (units + 0.0).cpu().numpy()  # adding 0.0 turns -0.0 into 0.0
    counts = [len({unit.tobytes() for unit in network}) for network in networks]
    return torch.tensor(counts, dtype=torch.float64, device=units.device)


def _near(units: Tensor) -> Iterator[Tensor]:
    """`distinct_within` and `spread`, (R,) each. units: float64."""
    longest = units.norm(dim=2).amax(1)  # (R,)
    products = torch.bmm(units, units.transpose(1, 2))
    squares = products.diagonal(dim1=1, dim2=2)
    # Good to some 1e-8 of the longest length, far below the tolerance.
    distances = (squares.unsqueeze(2) + squares.unsqueeze(1) - 2 * products).clamp(min=0).sqrt()
    near = distances <= (TOLERANCE * longest).view(-1, 1, 1)
    yield (~near.tril(-1).any(2)).sum(1).double()
    furthest = (units - units[:, :1]).norm(dim=2).amax(1)
    yield torch.where(longest > 0, furthest / longest, 0.0)


def _distances(before: Tensor, after: Tensor) -> Iterator[Tensor]:
    """The quantiles of the ratio of distances over pairs of examples, (R,) each. before: (R, n, in) float64."""
    networks, n, _ = before.shape
    first, second = torch.triu_indices(n, n, 1, device=before.device)
    ratio = torch.cdist(after, after)[:, first, second] / torch.cdist(before, before)[:, first, second]
    # 0 / 0 and x / 0 are of pairs that the layer was given as one.
    ratio = ratio.where(ratio.isfinite(), torch.nan)
    at = torch.tensor(QUANTILES, dtype=torch.float64, device=before.device)
    yield from torch.nanquantile(ratio, at, dim=1) if n > 1 else ratio.new_full((len(QUANTILES), networks), torch.nan)


def effective_rank(outputs: Tensor) -> Tensor:
    """exp of the entropy of the singular values, as shares, of the centred outputs of R layers: (R,).

    outputs: (R, n, width) float64. Outputs that are all the same have the rank 0.
    """
    centred = outputs - outputs.mean(1, keepdim=True)
    gram = centred.transpose(1, 2) @ centred if centred.shape[1] > centred.shape[2] else centred @ centred.mT
    # A number that is not finite makes the whole row NaN later; the decomposition must not stumble over it.
    singular = torch.linalg.eigvalsh(gram.nan_to_num()).clamp(min=0).sqrt()
    total = singular.sum(1, keepdim=True)
    shares = torch.where(total > 0, singular / total, 0.0)
    entropy = torch.special.entr(shares).sum(1)
    return torch.where(total.squeeze(1) > 0, entropy.exp(), 0.0)
