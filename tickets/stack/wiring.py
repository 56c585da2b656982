"""The surviving weights of a chain as lists of edges, which a kernel traverses in order at every pixel.

A unit is whatever has one bias: an output of a Linear layer, or an output channel of a convolution. The edges into a
unit are divided into segments by the rows that they read, as many rows as fit in the L1 cache. A kernel processes the
segments of all units that read the same rows one after the other, the longest first: neighbouring segments then have
nearly equal lengths, which helps the processor's branch prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tickets.stack.planes import Planes
from tickets.stack.rows import Columns

Ints = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]


ROWS = 96  # the least number of rows that a segment reads, about: 24 KiB for a tile of 64 float32 columns
EDGES = 40  # the least length of a segment, about: each segment also reads and writes one row


class Edges(NamedTuple):
    """Segments in the order in which a kernel processes them.

    Attributes
    ----------
    unit
        The unit that each segment's edges enter.
    first
        The first edge of each segment.
    length
        The number of edges of each segment.
    source
        The row that each edge reads.
    layer
        Where the segments of each layer begin, and the number of all segments.
    paired
        1 for a segment whose edges read the same rows in the same order as the next segment's, else 0.
    """

    unit: Ints
    first: Ints
    length: Ints
    source: Ints
    layer: Ints
    paired: Ints


@dataclass(frozen=True)
class Wiring:
    """The surviving weights of one network. Units and rows are numbered within their layer (see rows.Columns).

    Attributes
    ----------
    starts
        (layers + 1,): where each layer's units begin, and the number of all units.
    idle
        (units,): whether a unit has no path to an output. It is not computed, and its gradient is 0.
    forward
        The edges into every unit, in the order of the surviving weights: layer by layer, each in C order. An idle
        unit has no segments.
    backward
        The edges that carry gradients back, from the last layer to the second, out of units that are not idle.
    backward_edge
        The forward edge that each backward edge is.
    masks
        One for each layer.
    """

    starts: Ints
    idle: Bools
    forward: Edges
    backward: Edges
    backward_edge: Ints
    masks: tuple[Bools, ...]

    @property
    def edges(self) -> int:
        """The number of surviving weights."""
        return len(self.forward.source)

    @property
    def units(self) -> int:
        """The number of units of all layers."""
        return int(self.starts[-1])

    @property
    def classes(self) -> int:
        """The number of output units."""
        return int(self.starts[-1] - self.starts[-2])


def wire(masks: Sequence[Bools], columns: Sequence[Columns]) -> Wiring:
    """The wiring of a chain with these masks, each (units, ...), from the first layer to the output layer."""
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
        # Block by block, so that weights gathered for neighbouring edges are close in memory.
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
    """The surviving weights of one convolution, as edges between planes. A unit is given by the start of its plane.

    Attributes
    ----------
    forward
        The edges in C order, by unit.
    backward
        The edges that carry gradients back to the input planes.
    backward_edge
        The forward edge that each backward edge is.
    places
        The flat index of each weight.
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
    """For every unit, whether it has no path to an output unit."""
    used: list[Bools] = [np.ones(len(masks[-1]), np.bool_)]
    for before, mask, where in zip(masks[-2::-1], masks[:0:-1], columns[:0:-1], strict=True):
        live: Bools = np.zeros(len(before), np.bool_)
        reached = np.logical_or.reduce(mask[used[-1]])
        live[where.unit[reached]] = True
        used.append(live)
    return np.logical_not(np.concatenate(used[::-1]))


def _block(mask: Bools, rows: int) -> int:
    """How many of a layer's rows a segment reads: about EDGES edges on average, and at least about ROWS rows.

    The last segment's number may be slightly smaller.
    """
    wanted = max(ROWS, EDGES * mask.size // max(1, int(np.count_nonzero(mask))))
    return -(-rows // max(1, round(rows / wanted)))


def _segments(unit: npt.NDArray[Any], row: npt.NDArray[Any], block: npt.NDArray[Any], idle: Bools) -> Edges:
    """The segments of one layer's edges.

    Parameters
    ----------
    unit, row
        Of each edge, the unit that it enters and the row that it reads; edges of one segment are neighbours.
    block
        Of each edge, the block of rows that its row belongs to.
    idle
        Of each unit, whether it needs no segments.
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
    """See Edges.paired."""
    last = first + count - 1
    paired: Bools = np.zeros(len(first), np.bool_)
    paired[:-1] = (count[:-1] == count[1:]) & (row[first[:-1]] == row[first[1:]]) & (row[last[:-1]] == row[last[1:]])
    for i in np.flatnonzero(paired):
        paired[i] = np.array_equal(row[first[i] : last[i] + 1], row[first[i + 1] : last[i + 1] + 1])
    return paired


def _joined(layers: Sequence[Edges]) -> Edges:
    """Concatenate the segments of several layers; `layer` of each input is its number of segments."""
    none = Edges(*(np.zeros(0, np.int32) for _ in Edges._fields))
    joined = Edges(*(np.concatenate(part).astype(np.int32) for part in zip(none, *layers, strict=True)))
    return joined._replace(layer=np.cumsum([0, *joined.layer], dtype=np.int32))
