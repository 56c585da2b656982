"""Hidden units of a stack: how many are distinct, and how well each layer keeps distinct inputs distinct."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from tickets.stack.hidden import HiddenLayer
from tickets.stack.networks import Tensors

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


@torch.no_grad()
def measure_units(layers: Sequence[HiddenLayer], parameters: Tensors, x: Tensor) -> Tensor:
    """What the units of every network are like: (R, layers, measures) float64 on the CPU, in the order of MEASURES.

    A unit is the vector of its incoming weights, its bias and its outgoing weights: two units with the same
    vector get the same gradient, so that a deterministic training keeps them the same.

    | measure | is |
    | --- | --- |
    | distinct | different vectors, bit for bit (0.0 and -0.0 are the same) |
    | distinct_within | units that are further than TOLERANCE x the longest vector's length from each before them |
    | spread | the largest distance of a unit from the first, over the longest vector's length |
    | distance_low, _median, _high | distance of two examples after the layer over that before it: QUANTILES |
    | effective_rank | exp of the entropy of the singular values, as shares, of the layer's centred outputs |

    The last two rows are of the first EXAMPLES of x (n, *input_shape), in evaluation mode, over pairs whose
    distance before the layer is not 0 (NaN if there is none); the rank of outputs that are all the same is 0.
    A layer with a number that is not finite has NaN in every measure.
    Source of the effective rank: Roy & Vetterli, "The effective rank", EUSIPCO (2007).
    """
    networks = len(next(iter(parameters.values())))
    outputs = x[:EXAMPLES].flatten(1).expand(networks, -1, -1)  # (R, n, in)
    rows = []
    for layer in layers:
        inputs, outputs = outputs, _outputs(layer, parameters, outputs)
        units = _units(layer, parameters)
        alike = torch.stack([_distinct(units), *_near(units.double())], 1)
        apart = torch.stack([*_distances(inputs.double(), outputs.double()), _effective_rank(outputs.double())], 1)
        finite = units.isfinite().all(2).all(1) & outputs.isfinite().all(2).all(1)
        rows.append(torch.cat([alike, apart], 1).where(finite.unsqueeze(1), torch.nan))
    return torch.stack(rows, 1).cpu() if rows else torch.empty(networks, 0, len(MEASURES), dtype=torch.float64)


def unit_bytes(layers: Sequence[HiddenLayer], shapes: Mapping[str, Sequence[int]]) -> int:
    """Memory that measuring one network's units takes: a layer's vectors three times over, and all their distances.

    shapes: of the network's parameters, by name.
    """
    taken = [
        20 * layer.width * (shapes[layer.weight][1] + 1 + shapes[layer.outgoing][0]) + 32 * layer.width**2
        for layer in layers
    ]
    return max(taken, default=0)


def _outputs(layer: HiddenLayer, parameters: Tensors, x: Tensor) -> Tensor:
    """(R, n, in) to (R, n, width)."""
    linear = torch.bmm(x, parameters[layer.weight].transpose(1, 2))
    if layer.bias is not None:
        linear = linear + parameters[layer.bias].unsqueeze(1)
    outputs: Tensor = layer.between(linear)
    return outputs


def _units(layer: HiddenLayer, parameters: Tensors) -> Tensor:
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


def _effective_rank(outputs: Tensor) -> Tensor:
    """(R,). outputs: (R, n, width) float64."""
    centred = outputs - outputs.mean(1, keepdim=True)
    gram = centred.transpose(1, 2) @ centred if centred.shape[1] > centred.shape[2] else centred @ centred.mT
    # A number that is not finite makes the whole row NaN later; the decomposition must not stumble over it.
    singular = torch.linalg.eigvalsh(gram.nan_to_num()).clamp(min=0).sqrt()
    total = singular.sum(1, keepdim=True)
    shares = torch.where(total > 0, singular / total, 0.0)
    entropy = torch.special.entr(shares).sum(1)
    return torch.where(total.squeeze(1) > 0, entropy.exp(), 0.0)
