"""Sums and products over the edges of a layer (see wiring.Edges)."""

from __future__ import annotations

import numpy as np

from tickets.stack.kernels.compiled import IN_PAIRS, compiled
from tickets.stack.kernels.loops import adder, dotter, pair_adder, summer

_add, _add_pair, _dot, _sum = adder(), pair_adder(), dotter(), summer()


@compiled
def add_edges(edges, begin, end, weights, rows, into, vectors):
    """into[unit] += the sum of weights[e] * rows[source] over the edges of the segments `begin` to `end - 1`.

    into: (rows, columns) of a tile, or (units, pixels, columns) of a line. vectors: vectors of each row to add to.
    """
    i = np.int64(begin)
    while i < end:
        unit, first, count = edges.unit[i], edges.first[i], edges.length[i]
        if IN_PAIRS and i + 1 < end and edges.paired[i]:
            other_unit, other = edges.unit[i + 1], edges.first[i + 1]
            _add_pair(weights, edges.source, first, other, count, rows, into, unit, other_unit, vectors)
            i += 2
        else:
            _add(weights, edges.source, first, count, rows, into, unit, vectors)
            i += 1


@compiled
def dot_edges(edges, begin, end, slopes, rows, products, vectors, onto):
    """products[e] = slopes[unit] . rows[source] for the edges of the segments `begin` to `end - 1`; with `onto`, +=.

    vectors: vectors of each row of `slopes`, which belongs to a tile or a line.
    """
    for i in range(begin, end):
        unit, first, count = edges.unit[i], edges.first[i], edges.length[i]
        _dot(slopes, unit, edges.source, first, count, rows, products, onto, vectors)


@compiled
def sum_rows(rows, summed, sums, vectors, onto):
    """sums[unit] = the sum over `vectors` vectors of rows[unit], or 0 if `summed` is false; with `onto`, +=."""
    zero = rows.dtype.type(0)
    for unit in range(len(sums)):
        before = sums[unit] if onto else zero
        sums[unit] = before + _sum(rows, unit, vectors) if summed[unit] else zero
