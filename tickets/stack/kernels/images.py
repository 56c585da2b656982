"""Forward and backward pass of the layers of a chain that read images, for one vector of examples.

A line is computed as soon as its inputs are complete, while they are in the cache.
"""

from __future__ import annotations

import numpy as np

from tickets.stack.kernels.compiled import compiled
from tickets.stack.kernels.edges import add_edges, dot_edges, sum_rows


@compiled
def _line(rows, first, units, apart):
    """A line of an image, (units, apart x columns). first: the row of its first pixel; units are `apart` rows apart."""
    columns = rows.shape[1]
    return rows.reshape(-1)[first * columns : (first + units * apart) * columns].reshape(units, apart * columns)


@compiled
def _pixels(line, rows):
    """A line reshaped to pixels, (units, apart, columns)."""
    columns = rows.shape[1]
    return line.reshape(len(line), line.shape[1] // columns, columns)


@compiled
def _forward_line(at, y, idle, forward, begin, end, weights, biases, given, outputs):
    """The input of every unit that is not idle, for one line. outputs: the rows that the layer writes."""
    into = _line(outputs, at.result + y * at.result_line, at.units, at.result_unit)
    for unit in range(at.units):
        if idle[at.unit + unit]:
            continue
        bias = biases[at.unit + unit]
        for k in range(at.wide * outputs.shape[1]):
            into[unit, k] = bias
    rows = given[at.source + y * at.source_line :]
    add_edges(forward, begin, end, weights, rows, _pixels(into, outputs), at.wide)


@compiled
def _rectify(at, y, idle, outputs):
    """ReLU, for one line."""
    zero = outputs.dtype.type(0)
    into = _line(outputs, at.result + y * at.result_line, at.units, at.result_unit)
    for unit in range(at.units):
        if idle[at.unit + unit]:
            continue
        for k in range(at.wide * outputs.shape[1]):
            value = into[unit, k]
            into[unit, k] = zero if value <= 0 else value  # keeps NaN


@compiled
def _pool(at, y, idle, lines, outputs, chosen):
    """Max pooling and ReLU for one line of squares. chosen: the position of the maximum, or -1 if ReLU gives 0."""
    zero, columns, pool, across = outputs.dtype.type(0), outputs.shape[1], at.pool, at.wide // at.pool
    into = _line(outputs, at.passed + y * at.passed_line, at.units, at.passed_unit)
    which = _line(chosen, at.chosen + y * at.units * across, at.units, across)
    for unit in range(at.units):
        if idle[at.unit + unit]:
            continue
        for k in range(across * columns):
            into[unit, k], which[unit, k] = zero, -1
        for down in range(pool):
            rows = _line(lines, at.result + down * at.result_line, at.units, at.result_unit)
            for right in range(pool):
                part = outputs.dtype.type(down * pool + right)
                for z in range(across):
                    for k in range(columns):
                        value, most = rows[unit, (z * pool + right) * columns + k], into[unit, z * columns + k]
                        greater = value > most or value != value  # keeps NaN
                        into[unit, z * columns + k] = value if greater else most
                        which[unit, z * columns + k] = part if greater else which[unit, z * columns + k]


@compiled
def forward_images(x, frame, images, idle, forward, weights, biases, lines, outputs, chosen):
    """The outputs of every unit that is not idle in the layers that read images.

    lines: workspace for the latest lines of layers followed by pooling. chosen: see `_pool`.
    """
    done = np.zeros(images, np.int64)
    for y in range(frame[0].high):
        for layer in range(images):
            at, before = frame[layer], frame[max(0, layer - 1)]
            there = done[layer - 1] // before.pool
            until = y + 1 if layer == 0 else at.high if there == at.down else there - at.below
            given, into = x if layer == 0 else outputs, outputs if at.pool == 1 else lines
            begin, end = forward.layer[layer], forward.layer[layer + 1]
            for line in range(done[layer], until):
                place = line if at.pool == 1 else line % at.pool
                rows = given[(line - place) * at.source_line :]
                _forward_line(at, place, idle, forward, begin, end, weights, biases, rows, into)
                if at.pool == 1:
                    _rectify(at, line, idle, outputs)
                elif place == at.pool - 1:
                    _pool(at, line // at.pool, idle, lines, outputs, chosen)
            done[layer] = max(done[layer], until)


@compiled
def flatten(at, idle, outputs, given, column):
    """Copy the outputs of the last layer that reads images into the input of the Linear layer, columns of a tile."""
    columns, high, wide = outputs.shape[1], at.high // at.pool, at.wide // at.pool
    for unit in range(at.units):
        if idle[at.unit + unit]:
            continue
        for y in range(high):
            for z in range(wide):
                row = at.passed + y * at.passed_line + unit * at.passed_unit + z
                for k in range(columns):
                    given[(unit * high + y) * wide + z, column + k] = outputs[row, k]


@compiled
def _unflatten(at, y, idle, given, column, columns, into):
    """The inverse of `flatten` for one line, (units, pixels x columns)."""
    high, wide = at.high // at.pool, at.wide // at.pool
    for unit in range(at.units):
        if idle[at.unit + unit]:
            continue
        for z in range(wide):
            for k in range(columns):
                into[unit, z * columns + k] = given[(unit * high + y) * wide + z, column + k]


@compiled
def _gradients(at, y, forward, begin, end, slopes, rows, gradients, bias_learns, bias_gradients, onto):
    """The gradients of a layer's weights and biases from one line; with `onto`, +=. rows: the layer's input."""
    units = slice(at.unit, at.unit + at.units)
    slope = _pixels(_line(slopes, at.slope + y * at.slope_line, at.units, at.slope_unit), slopes)
    dot_edges(forward, begin, end, slope, rows[at.source + y * at.source_line :], gradients, at.wide, onto)
    sum_rows(slope, bias_learns[units], bias_gradients[units], at.wide, onto)


@compiled
def _slopes(after, y, idle, backward, begin, end, weights, slopes, into):
    """The gradient by one line of a layer's input. idle: of its rows; may be shorter."""
    zero, numbers = slopes.dtype.type(0), after.across * slopes.shape[1]
    for row in range(after.rows):
        if row < len(idle) and idle[row]:
            continue
        for k in range(numbers):
            into[row, k] = zero
    given = slopes[after.around + y * after.slope_line :]
    add_edges(backward, begin, end, weights, given, _pixels(into, slopes), after.across)


@compiled
def _stop(at, y, idle, outputs, slopes):
    """The backward pass of ReLU for one line."""
    zero = slopes.dtype.type(0)
    into = _line(slopes, at.slope + y * at.slope_line, at.units, at.slope_unit)
    result = _line(outputs, at.result + y * at.result_line, at.units, at.result_unit)
    for unit in range(at.units):
        if idle[at.unit + unit]:
            continue
        for k in range(at.wide * slopes.shape[1]):
            into[unit, k] = zero if result[unit, k] <= 0 else into[unit, k]


@compiled
def _unpool(at, y, idle, chosen, between, slopes):
    """The backward pass of max pooling and ReLU for one line of squares.

    between: gradients by the pooled outputs, (units, pixels x columns).
    """
    zero, columns, pool, across = slopes.dtype.type(0), slopes.shape[1], at.pool, at.wide // at.pool
    which = _line(chosen, at.chosen + y * at.units * across, at.units, across)
    for down in range(pool):
        slope = _line(slopes, at.slope + (y * pool + down) * at.slope_line, at.units, at.slope_unit)
        for unit in range(at.units):
            if idle[at.unit + unit]:
                continue
            for right in range(pool):
                part = slopes.dtype.type(down * pool + right)
                for z in range(across):
                    for k in range(columns):
                        here = which[unit, z * columns + k] == part
                        slope[unit, (z * pool + right) * columns + k] = between[unit, z * columns + k] if here else zero


@compiled
def _come_back(at, y, between, slopes):
    """Where the gradient by one line of a layer's outputs is written, (units, pixels x columns)."""
    if at.pool > 1:
        return _line(between, 0, at.units, at.wide // at.pool)
    return _line(slopes, at.slope + y * at.slope_line, at.units, at.slope_unit)


@compiled
def _let_back(at, y, idle, outputs, chosen, between, slopes):
    """From the gradient by one line of a layer's outputs to the layer's slopes."""
    if at.pool > 1:
        _unpool(at, y, idle, chosen, _come_back(at, y, between, slopes), slopes)
    else:
        _stop(at, y, idle, outputs, slopes)


@compiled
def backward_images(
    x, frame, images, idle, forward, backward, weights, bias_learns, outputs, chosen, slopes, between, given_slopes,
    column, gradients, bias_gradients, onto,
):  # fmt: skip
    """Compute the gradients of all layers that read images; with `onto`, add them.

    given_slopes, column: gradients by the outputs of the last of these layers, in the form that `flatten` writes.
    """
    there, done, passed = np.zeros((3, images), np.int64)
    last = frame[images - 1]
    for y in range(last.high // last.pool):
        _unflatten(last, y, idle, given_slopes, column, slopes.shape[1], _come_back(last, y, between, slopes))
        _let_back(last, y, idle, outputs, chosen, between, slopes)
        there[images - 1] += last.pool
        for layer in range(images - 1, -1, -1):
            at, rows, back = frame[layer], x if layer == 0 else outputs, len(frame) - 1 - layer
            begin, end = forward.layer[layer], forward.layer[layer + 1]
            for line in range(done[layer], there[layer]):
                more = onto or line > 0
                _gradients(at, line, forward, begin, end, slopes, rows, gradients, bias_learns, bias_gradients, more)
            done[layer] = there[layer]
            if layer == 0:
                break
            before, begin, end = frame[layer - 1], backward.layer[back], backward.layer[back + 1]
            none = idle[before.unit : before.unit + before.units]
            until = at.down if there[layer] == at.high else there[layer] - at.above
            for line in range(passed[layer], until):
                into = _come_back(before, line, between, slopes)
                _slopes(at, line, none, backward, begin, end, weights, slopes, into)
                _let_back(before, line, idle, outputs, chosen, between, slopes)
                there[layer - 1] += before.pool
            passed[layer] = max(passed[layer], until)
