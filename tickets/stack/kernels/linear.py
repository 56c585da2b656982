"""Forward and backward pass of the Linear layers of a chain, for one tile: a row for each unit, a column an example."""

from __future__ import annotations

from tickets.stack.kernels.compiled import VECTOR_BYTES, compiled
from tickets.stack.kernels.edges import add_edges, dot_edges, sum_rows
from tickets.stack.kernels.exponential import exp


@compiled
def _vectors(rows):
    return rows.shape[1] * rows.itemsize // VECTOR_BYTES


@compiled
def pass_forward(x, frame, first, idle, forward, weights, biases, outputs):
    """The outputs of every unit that is not idle, from the layer `first` on; of the last layer, the logits.

    x: the input of the layer `first`. frame: (layers,) of Frame, with the places of rows. forward: of the Wiring.
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
                into[unit, k] = zero if value <= 0 else value  # keeps NaN


@compiled
def output_slopes(labels, share, outputs, slopes, column):
    """The gradient of the loss by the logits: (softmax - one-hot) * share; 0 for columns without a label.

    outputs, slopes: the rows of the output units. share: the weight of each example in the loss.
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
    """Compute all gradients down to the layer `first` from the slopes of the output units; with `onto`, add them.

    weights: of the backward edges. given_slopes: receives the gradient by x, if layers before `first` need it.
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
    """The gradient by a layer's input. idle: of the units that it reads; empty if all are needed."""
    zero = slopes.dtype.type(0)
    for row in range(at.rows):
        if row < len(idle) and idle[row]:
            continue
        for k in range(into.shape[1]):
            into[row, k] = zero
    add_edges(backward, begin, end, weights, slopes, into, _vectors(into))


@compiled
def _stop(idle, results, slopes):
    """The backward pass of ReLU."""
    zero = slopes.dtype.type(0)
    for unit in range(len(idle)):
        if idle[unit]:
            continue
        for k in range(slopes.shape[1]):
            slopes[unit, k] = zero if results[unit, k] <= 0 else slopes[unit, k]
