"""Training steps of one sparse network: forward, backward and the optimizer, edge by edge.

Activations and slopes (gradients of the loss by the input of a unit) have one row for each unit and one column for each
example, so that an edge multiplies a row by a number. Images have one row for each unit and pixel, so that an edge
multiplies a whole line. rows.py defines the places of the rows, wiring.py the edges. Examples are processed in tiles
of SEVERAL vectors of columns; the last tile has as many whole vectors as it needs. Layers that read images process a
tile vector by vector, so that their workspace stays in the cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tickets.stack.kernels.compiled import SEVERAL, VECTOR_BYTES, compiled
from tickets.stack.kernels.images import backward_images, flatten, forward_images
from tickets.stack.kernels.linear import output_slopes, pass_backward, pass_forward
from tickets.stack.kernels.loops import copier
from tickets.stack.kernels.update import update

_copy = copier()


class Room(NamedTuple):
    """Workspace.

    outputs, slopes: output_rows of the RowLayout x the columns of a tile. column: the columns of a tile. gradients:
    (edges,). bias_gradients: (units,). weights: (backward edges,). Gradients of padding and of idle units stay 0.
    """

    outputs: Any
    slopes: Any
    column: Any
    gradients: Any
    bias_gradients: Any
    weights: Any


class Images(NamedTuple):
    """The layers that read images, and their workspace.

    layers: their number. border, slope_border: of the RowLayout. passed, chosen: image_rows and chosen_rows for each
    vector of a tile. lines, slopes, back: line_rows, image_slope_rows and back_rows for one vector. given,
    given_slopes: flat_rows for a tile.
    """

    layers: int
    border: Any
    slope_border: Any
    passed: Any
    chosen: Any
    lines: Any
    slopes: Any
    back: Any
    given: Any
    given_slopes: Any


@compiled
def lay_out(examples, places, rows, given, run, tile, tiles):
    """Write batches of examples in the form that `take_steps` reads.

    examples: (n, inputs). places: (steps, batch) int64. rows, given, run: given_rows, given (inputs,) and given_run of
    the RowLayout. tile: columns of a tile. tiles: (steps, rows x columns), the argument x of `take_steps`.
    """
    inputs, batch = examples.shape[1], places.shape[1]
    columns, lanes = tiles.shape[1] // rows, VECTOR_BYTES // tiles.itemsize
    numbers, some = examples.reshape(examples.size), np.empty(lanes * inputs, examples.dtype)
    for s in range(len(places)):
        for begin in range(0, columns, tile):
            wide = min(tile, columns - begin)
            part = tiles[s, begin * rows : (begin + wide) * rows].reshape(rows, wide)
            if rows > inputs:
                part[:] = 0
            # A few examples at a time: each is read sequentially, which is fastest, and then transposed in pieces
            # that fit in the L1 cache.
            for first in range(0, wide, lanes):
                there = places[s, min(begin + first, batch) : begin + first + lanes]
                for k in range(len(there)):
                    _copy(numbers, there[k] * inputs, some, k * inputs, inputs)
                some[len(there) * inputs :] = 0
                for start in range(0, inputs, run):
                    for at in range(start, start + run, 2 * lanes):
                        count = min(2 * lanes, start + run - at)
                        into = part[given[at] : given[at] + count, first : first + lanes]
                        _turn(some.reshape(lanes, inputs)[:, at : at + count], into)


@compiled
def _turn(rows, into):
    """into[i, k] = rows[k, i]."""
    for k in range(len(rows)):
        row = rows[k]
        for i in range(len(row)):
            into[i, k] = row[i]


@compiled
def _of_width(room, tile, wide):
    """The first `wide` columns of each row of the workspace for a tile."""
    return room[: len(room) // tile * wide].reshape(len(room) // tile, wide)


@compiled
def _of_vector(room, vector):
    """One vector's part of the workspace for a tile."""
    size, columns = len(room) // SEVERAL, VECTOR_BYTES // room.itemsize
    return room[vector * size : (vector + 1) * size].reshape(size // columns, columns)


@compiled
def _by_vectors(room):
    """The workspace for one vector, as rows."""
    columns = VECTOR_BYTES // room.itemsize
    return room.reshape(len(room) // columns, columns)


@compiled
def _image(x, begin, vector, rows):
    """The input images of one vector of the tile that begins at column `begin`."""
    columns = VECTOR_BYTES // x.itemsize
    first = (begin + vector * columns) * rows
    return x[first : first + columns * rows].reshape(rows, columns)


@compiled
def _clear_borders(images):
    """Write the zeros around images; nothing else is written there."""
    for vector in range(SEVERAL):
        passed = _of_vector(images.passed, vector)
        for row in images.border:
            passed[row] = 0
    slopes = _by_vectors(images.slopes)
    for row in images.slope_border:
        slopes[row] = 0


@compiled
def _read(x, begin, wide, rows, frame, idle, forward, weights, biases, images):
    """The input of the first Linear layer for the tile that begins at column `begin`. x: one step of `take_steps`'."""
    if images is None:
        return x[begin * rows : (begin + wide) * rows].reshape(rows, wide)
    columns = VECTOR_BYTES // x.itemsize
    given, lines = _of_width(images.given, SEVERAL * columns, wide), _by_vectors(images.lines)
    for vector in range(wide // columns):
        image, passed = _image(x, begin, vector, rows), _of_vector(images.passed, vector)
        chosen = _of_vector(images.chosen, vector)
        forward_images(image, frame, images.layers, idle, forward, weights, biases, lines, passed, chosen)
        flatten(frame[images.layers - 1], idle, passed, given, vector * columns)
    return given


@compiled
def _pass_back(
    x, begin, given, rows, frame, idle, forward, backward, bias_learns, outputs, slopes, room, images
):  # fmt: skip
    """Compute all gradients from the slopes of the output units. x, begin, rows, given: as in `_read`."""
    onto = begin > 0
    if images is None:
        pass_backward(
            given, frame, 0, idle, forward, backward, room.weights, bias_learns, outputs, slopes, slopes,
            room.gradients, room.bias_gradients, onto,
        )  # fmt: skip
        return
    columns, wide = VECTOR_BYTES // x.itemsize, outputs.shape[1]
    given_slopes = _of_width(images.given_slopes, SEVERAL * columns, wide)
    pass_backward(
        given, frame, images.layers, idle, forward, backward, room.weights, bias_learns, outputs, slopes, given_slopes,
        room.gradients, room.bias_gradients, onto,
    )  # fmt: skip
    image_slopes, back = _by_vectors(images.slopes), _by_vectors(images.back)
    for vector in range(wide // columns):
        image, passed = _image(x, begin, vector, rows), _of_vector(images.passed, vector)
        backward_images(
            image, frame, images.layers, idle, forward, backward, room.weights, bias_learns, passed,
            _of_vector(images.chosen, vector), image_slopes, back, given_slopes, vector * columns, room.gradients,
            room.bias_gradients, onto or vector > 0,
        )  # fmt: skip


@compiled
def take_steps(
    x, labels, rows, frame, idle, forward, backward, backward_edge, weights, biases, bias_learns, weight_moments,
    bias_moments, room, images, kind, taken, rates, momentum, decay,
):  # fmt: skip
    """Train one network for len(rates) steps.

    x: (steps, rows x columns), tile after tile, each (rows, its columns), 0 past the end of the batch; with images,
    vector after vector. labels: (steps, batch) int64. rows, frame: given_rows and frame of the RowLayout. idle to
    backward_edge: of the Wiring. weights: (edges,), biases: (units,), bias_learns: (units,) bool. weight_moments:
    (2, edges), bias_moments: (2, units). Arrays over edges or units may be padded. images: None if no layer reads
    images. taken: optimizer steps before these. rates: (steps,) float64.
    """
    last = frame[-1]
    columns, tile = x.shape[1] // rows, SEVERAL * VECTOR_BYTES // weights.itemsize
    share = weights.dtype.type(1.0 / labels.shape[1])
    if images is not None:
        _clear_borders(images)
    for s in range(len(rates)):
        for e in range(len(backward_edge)):
            room.weights[e] = weights[backward_edge[e]]
        for begin in range(0, columns, tile):
            wide = min(tile, columns - begin)
            outputs, slopes = _of_width(room.outputs, tile, wide), _of_width(room.slopes, tile, wide)
            given = _read(x[s], begin, wide, rows, frame, idle, forward, weights, biases, images)
            pass_forward(given, frame, 0 if images is None else images.layers, idle, forward, weights, biases, outputs)
            logits, logit_slopes = outputs[last.result :][: last.units], slopes[last.slope :][: last.units]
            output_slopes(labels[s, begin : begin + wide], share, logits, logit_slopes, room.column)
            _pass_back(
                x[s], begin, given, rows, frame, idle, forward, backward, bias_learns, outputs, slopes, room, images
            )  # fmt: skip
        step = taken + s + 1
        update(kind, weights, room.gradients, weight_moments[0], weight_moments[1], step, rates[s], momentum, decay)
        update(kind, biases, room.bias_gradients, bias_moments[0], bias_moments[1], step, rates[s], momentum, decay)


@compiled
def logits_of(x, rows, frame, idle, forward, weights, biases, outputs, images, logits):
    """Write the logits of one network, (classes, columns), for x, (rows x columns), as one step of `take_steps`."""
    columns, tile, last = logits.shape[1], SEVERAL * VECTOR_BYTES // weights.itemsize, frame[-1]
    if images is not None:
        _clear_borders(images)
    for begin in range(0, columns, tile):
        wide = min(tile, columns - begin)
        into = _of_width(outputs, tile, wide)
        given = _read(x, begin, wide, rows, frame, idle, forward, weights, biases, images)
        pass_forward(given, frame, 0 if images is None else images.layers, idle, forward, weights, biases, into)
        for unit in range(len(logits)):
            for k in range(wide):
                logits[unit, begin + k] = into[last.result + unit, k]
