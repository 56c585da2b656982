"""Which weights of a fully connected network survive, as lists of edges that a kernel runs through in order.

Units are numbered over all layers but the input: those of the first hidden layer from 0, the output units last.
Edges come four at a time, so that a kernel needs no loop for what is left over: what fills up a unit's last four
leads from a row of zeros and has weight 0. In each layer the units with the most edges come first: neighbours then
have the same number of fours, which a processor's branch prediction lives on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

WIDTH = 4  # edges that a kernel takes at a time


@dataclass(frozen=True)
class Edges:
    """For each of `unit`, in order, `fours[i]` times four edges from `first[i]` on, each from a row `source[e]`."""

    unit: Ints
    first: Ints
    fours: Ints
    source: Ints


@dataclass(frozen=True)
class Wiring:
    """The surviving weights of one network.

    forward: the edges into every unit; the sources of the first layer's are inputs (the row of zeros is number
    `inputs`), the others' are units (the row of zeros is number `units`). backward: the edges out of every
    hidden unit, from the last hidden layer to the first; their sources are the units that they lead to, and
    `weight` says which of the forward edges each is, the last of all (number `edges - 1`, always 0) for those
    that fill up. idle: of each of the forward units, whether nothing leads out of it and it is no output: it need
    not be computed, and no slope comes to it. place: of each surviving weight, layer after layer in C order, its
    number among the forward edges. masks: by layer, (out, in).
    """

    inputs: int
    units: int
    classes: int
    first_layer: int
    forward: Edges
    backward: Edges
    weight: Ints
    idle: Mask
    place: Ints
    masks: tuple[Mask, ...]

    @property
    def edges(self) -> int:
        """Forward edges, those that fill up included, and one more that is always 0."""
        return len(self.forward.source) + 1


def wire(masks: Sequence[Mask]) -> Wiring:
    """The wiring of a chain of layers with these masks, (out, in) each, from the first to the output layer."""
    widths = [mask.shape[0] for mask in masks]
    units, inputs = sum(widths), masks[0].shape[1]
    starts = np.cumsum([0, *widths])
    entering, places, count = [], [], 0
    for layer, mask in enumerate(masks):
        unit, source = np.nonzero(mask)
        offset, zeros = (0, inputs) if layer == 0 else (int(starts[layer - 1]), units)
        edges, place = _grouped(unit, source + offset, widths[layer], zeros, count)
        entering.append(_shifted(edges, int(starts[layer])))
        places.append(place)
        count += len(edges.source)
    leaving, weights = [], []
    taken = 0
    for layer in range(len(masks) - 1, 0, -1):
        unit, target = np.nonzero(masks[layer].T)
        edges, place = _grouped(unit, target + int(starts[layer]), widths[layer - 1], units, taken)
        weight = np.full(len(edges.source), count, np.int32)
        numbers = np.empty(masks[layer].shape, np.int32)
        numbers[masks[layer]] = places[layer]
        weight[place - taken] = numbers[target, unit]
        leaving.append(_shifted(edges, int(starts[layer - 1])))
        weights.append(weight)
        taken += len(edges.source)
    forward = _joined(entering)
    used = np.zeros(units, np.bool_)
    used[starts[-2] :] = True
    for edges in leaving:
        used[edges.unit[edges.fours > 0]] = True
    none = Edges(*(np.empty(0, np.int32) for _ in range(4)))
    return Wiring(
        inputs=inputs,
        units=units,
        classes=widths[-1],
        first_layer=widths[0],
        forward=forward,
        backward=_joined(leaving) if leaving else none,
        weight=np.concatenate(weights) if weights else none.source,
        idle=~used[forward.unit],
        place=np.concatenate(places),
        masks=tuple(masks),
    )


def _grouped(
    unit: npt.NDArray[np.int64], source: npt.NDArray[np.int64], units: int, zeros: int, begin: int
) -> tuple[Edges, Ints]:
    """Edges, in their units' order, filled up to fours and numbered from `begin` on; and each given edge's number."""
    counts = np.bincount(unit, minlength=units)
    fours = -(-counts // WIDTH)
    order = np.argsort(-fours, kind="stable")
    first = np.empty(units, np.int64)
    first[order] = begin + WIDTH * (np.cumsum(fours[order]) - fours[order])
    rank = np.arange(len(unit)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = first[unit] + rank
    sources = np.full(WIDTH * int(fours.sum()), zeros, np.int32)
    sources[place - begin] = source
    edges = Edges(order.astype(np.int32), first[order].astype(np.int32), fours[order].astype(np.int32), sources)
    return edges, place.astype(np.int32)


def _shifted(edges: Edges, by: int) -> Edges:
    """The same edges of units that are numbered from `by` on."""
    return Edges(edges.unit + np.int32(by), edges.first, edges.fours, edges.source)


def _joined(layers: Sequence[Edges]) -> Edges:
    return Edges(
        *(np.concatenate(part) for part in zip(*((e.unit, e.first, e.fours, e.source) for e in layers), strict=True))
    )
