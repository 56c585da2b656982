"""Forward and backward through the Linear layers of a chain, for one tile: rows of units, a column an example."""

from __future__ import annotations

from tickets.stack.kernels.compiled import VECTOR_BYTES, compiled
from tickets.stack.kernels.edges import add_edges, dot_edges, sum_rows
from tickets.stack.kernels.exponential import exp


@compiled
def _vectors(rows):
    return rows.shape[1] * rows.itemsize // VECTOR_BYTES


@compiled
def pass_forward(x, frame, first, idle, forward, weights, biases, outputs):
    """What comes out of every unit that is not idle, from the layer `first` on; of the last layer, the logits.

    x: what the layer `first` reads. frame: of Frame; the rows of other arrays are where it says. forward: a Wiring's.
    """
    zero = outputs.dtype.type(0)
    for layer in range(first, len(frame)):
        at = frame[layer]
        rows, into = x if layer == first else outputs[at.source :], outputs[at.result :]
        for unit in range(at.units):
            if idle[at.unit + unit]:
                continue
            bias = biases[at.unit + unit]
            for k in range(into.shape[1]):
                into[unit, k] = bias
        add_edges(forward, forward.layer[layer], forward.layer[layer + 1], weights, rows, into, _vectors(into))
        if layer == len(frame) - 1:
            continue
        for unit in range(at.units):
            if idle[at.unit + unit]:
                continue
            for k in range(into.shape[1]):
                value = into[unit, k]
                into[unit, k] = zero if value <= 0 else value  # NaN stays


@compiled
def output_slopes(labels, share, outputs, slopes, column):
    """The gradient of the loss by the logits: (softmax - one-hot) `share`; 0 past the labels' end.

    outputs, slopes: the output units' rows. share: of each example in the loss.
    """
    zero, (units, columns) = slopes.dtype.type(0), slopes.shape
    for k in range(columns):
        column[k] = outputs[0, k]
    for unit in range(1, units):
        for k in range(columns):
            column[k] = max(column[k], outputs[unit, k])
    for unit in range(units):
        for k in range(columns):
            slopes[unit, k] = exp(outputs[unit, k] - column[k])
    for k in range(columns):
        column[k] = slopes[0, k]
    for unit in range(1, units):
        for k in range(columns):
            column[k] += slopes[unit, k]
    for k in range(columns):
        column[k] = share / column[k]
    for unit in range(units):
        for k in range(columns):
            slopes[unit, k] = slopes[unit, k] * column[k] if k < len(labels) else zero
    for k in range(len(labels)):
        slopes[labels[k], k] -= share


@compiled
def pass_backward(
    x, frame, first, idle, forward, backward, weights, bias_learns, outputs, slopes, given_slopes, gradients,
    bias_gradients, onto,
):  # fmt: skip
    """From the output units' slopes to all gradients down to the layer `first`; with `onto`, +=.

    weights: of the edges back. given_slopes: for what goes back to x, if the layers before `first` need it.
    """
    for back in range(len(frame) - first):
        layer = len(frame) - 1 - back
        at = frame[layer]
        rows, slope, units = x if layer == first else outputs[at.source :], slopes[at.slope :], at.unit + at.units
        begin, end, vectors = forward.layer[layer], forward.layer[layer + 1], _vectors(slopes)
        dot_edges(forward, begin, end, slope, rows, gradients, vectors, onto)
        sum_rows(slope, bias_learns[at.unit : units], bias_gradients[at.unit : units], vectors, onto)
        if layer == 0:
            break
        begin, end = backward.layer[back], backward.layer[back + 1]
        if layer == first:
            _slopes_before(at, idle[:0], backward, begin, end, weights, slope, given_slopes)
        else:
            before = frame[layer - 1]
            none, into = idle[before.unit : at.unit], slopes[before.slope :]
            _slopes_before(at, none, backward, begin, end, weights, slope, into)
            _stop(none, rows, into)


@compiled
def _slopes_before(at, idle, backward, begin, end, weights, slopes, into):
    """What goes back through a layer's edges to what it reads. idle: of these units; () if any may be read."""
    zero = slopes.dtype.type(0)
    for row in range(at.rows):
        if row < len(idle) and idle[row]:
            continue
        for k in range(into.shape[1]):
            into[row, k] = zero
    add_edges(backward, begin, end, weights, slopes, into, _vectors(into))


@compiled
def _stop(idle, results, slopes):
    """Nothing goes back through a unit that is off."""
    zero = slopes.dtype.type(0)
    for unit in range(len(idle)):
        if idle[unit]:
            continue
        for k in range(slopes.shape[1]):
            slopes[unit, k] = zero if results[unit, k] <= 0 else slopes[unit, k]
