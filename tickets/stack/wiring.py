"""Which weights of a chain survive, as lists of edges that a kernel runs through in order, at every pixel.

A unit is what has a bias: of a convolution, a channel that comes of it. The edges into a unit are cut into segments by
where they come from, so many rows at a time as a processor's first cache holds, and a kernel takes all units' segments
from the same rows one after the other; those with the most edges first, for then neighbours have nearly the same number
of edges, which a processor's branch prediction lives on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tickets.stack.layout import Columns
from tickets.stack.planes import Planes

Ints = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]


ROWS = 96  # that a segment's edges come from, about, at least: of a tile's 64 columns in single precision, 24 KiB
EDGES = 40  # that a segment has, about, at least: it begins and ends by reading and writing a row


class Edges(NamedTuple):
    """Segments, in the order in which a kernel takes them: `length[i]` edges into unit[i], from edge first[i] on.

    source: of each edge, the row that it comes from. layer: where each layer's segments begin, and the end of all.
    paired: of each segment, 1 where the next one's edges come from the same rows in the same order, else 0.
    """

    unit: Ints
    first: Ints
    length: Ints
    source: Ints
    layer: Ints
    paired: Ints


@dataclass(frozen=True)
class Wiring:
    """The surviving weights of one network.

    starts: where each layer's units begin, (layers + 1,); the last is the number of all. idle: of all units, whether no
    path leads out of it to an output unit: it need not be computed, and no slope comes to it. forward: the edges into
    every unit, numbered as the surviving weights are: layer after layer, each in C order; an idle unit has no segments.
    backward: the edges that lead out of what each layer but the first reads, from the last layer to the second, to
    units that are not idle; `backward_edge` says which of the forward edges each is. Units and rows are numbered within
    their layer, from where it writes and reads (see layout.Columns). masks: by layer.
    """

    starts: Ints
    idle: Bools
    forward: Edges
    backward: Edges
    backward_edge: Ints
    masks: tuple[Bools, ...]

    @property
    def edges(self) -> int:
        """Surviving weights."""
        return len(self.forward.source)

    @property
    def units(self) -> int:
        """Of all layers."""
        return int(self.starts[-1])

    @property
    def classes(self) -> int:
        """The output units."""
        return int(self.starts[-1] - self.starts[-2])


def wire(masks: Sequence[Bools], columns: Sequence[Columns]) -> Wiring:
    """The wiring of a chain of layers with these masks, each (units, ...), from the first to the output layer."""
    flat = [mask.reshape(len(mask), -1) for mask in masks]
    starts = np.cumsum([0, *(len(mask) for mask in masks)])
    befores = np.cumsum([0, *(np.count_nonzero(mask) for mask in masks)])
    idle = _idle(flat, columns)
    entering, leaving, edges = [], [], [np.empty(0, np.int32)]
    taken = 0
    for layer, mask in enumerate(flat):
        unit, column = np.nonzero(mask)
        block = column // _block(mask, mask.shape[1])
        found = _segments(unit, columns[layer].source[column], block, idle[starts[layer] : starts[layer + 1]])
        entering.append(found._replace(first=found.first + befores[layer]))
    for layer in range(len(masks) - 1, 0, -1):
        where = columns[layer]
        unit, column = np.nonzero(flat[layer] & ~idle[starts[layer] : starts[layer + 1], None])
        number = np.cumsum(flat[layer]).reshape(flat[layer].shape)[unit, column] - 1 + befores[layer]
        block = unit // _block(flat[layer], len(flat[layer]))
        # Block by block, so that the weights that are gathered for neighbours lie near one another.
        order = np.lexsort((column, unit, where.target[column], block))
        unit, column = unit[order], column[order]
        found = _segments(
            where.target[column],
            where.shift[column] + unit * where.stride,
            block[order],
            np.zeros(where.targets, np.bool_),
        )
        leaving.append(found._replace(first=found.first + taken))
        edges.append(number[order])
        taken += len(unit)
    return Wiring(
        starts=starts.astype(np.int32),
        idle=idle,
        forward=_joined(entering),
        backward=_joined(leaving),
        backward_edge=np.concatenate(edges).astype(np.int32),
        masks=tuple(masks),
    )


@dataclass(frozen=True)
class PlaneWiring:
    """The surviving weights of one convolution, as edges between planes; a unit is the number its plane begins at.

    forward: in C order, by unit. backward: to the planes of what is read; `backward_edge` says which of the forward
    edges each is. places: of each, in the flat weights.
    """

    forward: Edges
    backward: Edges
    backward_edge: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]


def wire_planes(mask: Bools, planes: Planes) -> PlaneWiring:
    """The wiring of a convolution with this mask, (units, channels, *kernel)."""
    flat = mask.reshape(len(mask), -1)
    unit, column = np.nonzero(flat)
    order = np.lexsort((column, unit, planes.target[column]))
    back, sources = column[order], planes.shift[column[order]] + unit[order] * planes.size

    def edges(into: npt.NDArray[np.int64], row: npt.NDArray[np.int64], planes_there: int) -> Edges:
        found = _segments(into, row, np.zeros_like(into), np.zeros(planes_there, np.bool_))
        return found._replace(unit=(found.unit * planes.size).astype(np.int32))

    return PlaneWiring(
        forward=edges(unit, planes.source[column], planes.units),
        backward=edges(planes.target[back], sources, planes.read),
        backward_edge=order,
        places=np.flatnonzero(flat),
    )


def _idle(masks: Sequence[Bools], columns: Sequence[Columns]) -> Bools:
    """Of all units, whether no path leads out of it to an output unit."""
    used: list[Bools] = [np.ones(len(masks[-1]), np.bool_)]
    for before, mask, where in zip(masks[-2::-1], masks[:0:-1], columns[:0:-1], strict=True):
        live: Bools = np.zeros(len(before), np.bool_)
        reached = np.logical_or.reduce(mask[used[-1]])
        live[where.unit[reached]] = True
        used.append(live)
    return np.logical_not(np.concatenate(used[::-1]))


def _block(mask: Bools, rows: int) -> int:
    """Rows that a segment's edges come from, of so many: enough for EDGES of them on average, about, and for ROWS.

    All segments' but the last are as many, and the last's nearly so.
    """
    wanted = max(ROWS, EDGES * mask.size // max(1, int(np.count_nonzero(mask))))
    return -(-rows // max(1, round(rows / wanted)))


def _segments(unit: npt.NDArray[Any], row: npt.NDArray[Any], block: npt.NDArray[Any], idle: Bools) -> Edges:
    """Segments of a layer's edges, each from a row into a unit, which come in any order that keeps segments together.

    block: of each edge, that of its row. idle: of the units, whether they need no segments.
    """
    changes = (unit[1:] != unit[:-1]) | (block[1:] != block[:-1])
    first = np.flatnonzero(np.concatenate([np.ones(min(1, len(unit)), np.bool_), changes]))
    count = np.diff(first, append=len(unit))
    order = np.lexsort((-count, block[first]))
    order = order[~idle[unit[first[order]]]]
    first, count = first[order], count[order]
    found = (unit[first], first, count, row, np.array([len(order)]), _paired(first, count, row))
    return Edges(*(part.astype(np.int32) for part in found))


def _paired(first: npt.NDArray[Any], count: npt.NDArray[Any], row: npt.NDArray[Any]) -> Bools:
    """See Edges."""
    last = first + count - 1
    paired: Bools = np.zeros(len(first), np.bool_)
    paired[:-1] = (count[:-1] == count[1:]) & (row[first[:-1]] == row[first[1:]]) & (row[last[:-1]] == row[last[1:]])
    for i in np.flatnonzero(paired):
        paired[i] = np.array_equal(row[first[i] : last[i] + 1], row[first[i + 1] : last[i + 1] + 1])
    return paired


def _joined(layers: Sequence[Edges]) -> Edges:
    """Layers one after the other; `layer` of each is the number of its segments, alone."""
    none = Edges(*(np.zeros(0, np.int32) for _ in Edges._fields))
    joined = Edges(*(np.concatenate(part).astype(np.int32) for part in zip(none, *layers, strict=True)))
    return joined._replace(layer=np.cumsum([0, *joined.layer], dtype=np.int32))
