"""Which weights of a fully connected network survive, as lists of edges that a kernel runs through in order.

Units are numbered over all layers but the input: those of the first hidden layer from 0, the output units last. The
edges into a unit are cut into segments by where they come from, so many rows at a time as a processor's first cache
holds, and a kernel takes all units' segments from the same rows one after the other; those with the most edges first,
for then neighbours have nearly the same number of edges, which a processor's branch prediction lives on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]


ROWS = 96  # that a segment's edges come from, about, at least: of a tile's 64 columns in single precision, 24 KiB
EDGES = 40  # that a segment has, about, at least: it begins and ends by reading and writing a row


class Edges(NamedTuple):
    """Segments, in the order in which a kernel takes them: `length[i]` edges into unit[i], from edge first[i] on.

    source: of each edge, the row that it comes from. layer: where each layer's segments begin, and the end of all.
    """

    unit: Ints
    first: Ints
    length: Ints
    source: Ints
    layer: Ints


@dataclass(frozen=True)
class Wiring:
    """The surviving weights of one network.

    starts: where each layer's units begin, (layers + 1,); the last is the number of all. forward: the edges into every
    unit, numbered as the surviving weights are: layer after layer, each in C order. The sources of the first layer's
    are inputs, the others' are units. idle: of the units, whether no path leads out of it to an output unit: it need
    not be computed, and no slope comes to it, so that it has no segments. backward: the edges out of every hidden unit
    to units that are not idle, from the last hidden layer to the first; their sources are the units that they lead to,
    and `backward_edge` says which of the forward edges each is. masks: by layer, (out, in).
    """

    inputs: int
    starts: Ints
    idle: Bools
    forward: Edges
    backward: Edges
    backward_edge: Ints
    masks: tuple[Bools, ...]

    @property
    def units(self) -> int:
        """All but the inputs."""
        return int(self.starts[-1])

    @property
    def classes(self) -> int:
        """The output units."""
        return int(self.starts[-1] - self.starts[-2])

    @property
    def edges(self) -> int:
        """Surviving weights."""
        return len(self.forward.source)


def wire(masks: Sequence[Bools]) -> Wiring:
    """The wiring of a chain of layers with these masks, (out, in) each, from the first to the output layer."""
    starts = np.cumsum([0, *(len(mask) for mask in masks)])
    befores = np.cumsum([0, *(np.count_nonzero(mask) for mask in masks)])
    idle = _idle(masks)
    entering, leaving, edges = [], [], [np.empty(0, np.int32)]
    taken = 0
    for layer, mask in enumerate(masks):
        unit, row = _places(mask)
        first_row = 0 if layer == 0 else starts[layer - 1]
        found = _segments(unit, row, row // _rows(mask, mask.shape[1]), idle[starts[layer] : starts[layer + 1]])
        entering.append(_numbered(found, starts[layer], befores[layer], first_row))
    for layer in range(len(masks) - 1, 0, -1):
        live = masks[layer] & ~idle[starts[layer] : starts[layer + 1], None]
        unit, row = _places(live.T)
        block = row // _rows(live, len(live))
        numbers = np.empty(live.shape, np.int32)
        numbers[masks[layer]] = np.arange(befores[layer], befores[layer + 1])
        # Block by block, so that the weights that are gathered for neighbours lie near one another.
        order = np.argsort(block, kind="stable")
        unit, row = unit[order], row[order]
        found = _segments(unit, row, block[order], np.zeros(live.shape[1], np.bool_))
        leaving.append(_numbered(found, starts[layer - 1], taken, starts[layer]))
        edges.append(numbers[row, unit])
        taken += len(unit)
    return Wiring(
        inputs=masks[0].shape[1],
        starts=starts.astype(np.int32),
        idle=idle,
        forward=_joined(entering),
        backward=_joined(leaving),
        backward_edge=np.concatenate(edges),
        masks=tuple(masks),
    )


def _idle(masks: Sequence[Bools]) -> Bools:
    """Of all units, whether no path leads out of it to an output unit."""
    used: list[Bools] = [np.ones(len(masks[-1]), np.bool_)]
    for mask in reversed(masks[1:]):
        used.append(np.logical_or.reduce(mask[used[-1]]))
    return np.logical_not(np.concatenate(used[::-1]))


def _rows(mask: Bools, rows: int) -> int:
    """Rows that a segment's edges come from, of so many: enough for EDGES of them on average, about, and for ROWS.

    All segments' but the last are as many, and the last's nearly so.
    """
    wanted = max(ROWS, EDGES * mask.size // max(1, int(np.count_nonzero(mask))))
    return -(-rows // max(1, round(rows / wanted)))


def _places(mask: Bools) -> tuple[Ints, Ints]:
    """Where a mask is True, in C order: the rows, and the columns."""
    rows, columns = np.nonzero(mask)
    return rows.astype(np.int32), columns.astype(np.int32)


def _segments(unit: Ints, row: Ints, block: Ints, idle: Bools) -> Edges:
    """Segments of a layer's edges, each from a row into a unit, which come in any order that keeps segments together.

    block: of each edge, that of its row. idle: of the units, whether they need no segments.
    """
    changes = (unit[1:] != unit[:-1]) | (block[1:] != block[:-1])
    first = np.flatnonzero(np.concatenate([np.ones(min(1, len(unit)), np.bool_), changes]))
    count = np.diff(first, append=len(unit))
    order = np.lexsort((-count, block[first]))
    order = order[~idle[unit[first[order]]]]
    found = (unit[first[order]], first[order], count[order], row, np.array([len(order)]))
    return Edges(*(part.astype(np.int32) for part in found))


def _numbered(edges: Edges, first_unit: int, first_edge: int, first_row: int) -> Edges:
    """A layer's segments with its units, edges and rows numbered from these numbers on."""
    moved = (edges.unit + first_unit, edges.first + first_edge, edges.length, edges.source + first_row, edges.layer)
    return Edges(*(part.astype(np.int32) for part in moved))


def _joined(layers: Sequence[Edges]) -> Edges:
    """Layers one after the other; `layer` of each is the number of its segments, alone."""
    none = Edges(*(np.zeros(0, np.int32) for _ in Edges._fields))
    joined = Edges(*(np.concatenate(part) for part in zip(none, *layers, strict=True)))
    return joined._replace(layer=np.cumsum([0, *joined.layer], dtype=np.int32))
