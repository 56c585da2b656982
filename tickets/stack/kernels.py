"""Training steps of one sparse network, compiled by Numba: forward, backward and the optimizer, edge by edge.

Activations and slopes (gradients of the loss by what comes into a unit) have a row a unit and a column an example, so
that an edge is one multiplication of a row by a number. Compiled code lets other threads run beside it. All arrays
are of one floating-point type. Sums may be taken in another order than they are written in; NaN and infinities are
what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

SGD, ADAM, ADAMW = range(3)
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # of Adam and AdamW: torch.optim's defaults


def _compiled(function: Function) -> Function:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
    try:
        made: Function = njit(cache=True, **options)(function)
    except RuntimeError:  # nowhere to keep what was compiled: it is compiled in each process
        made = njit(**options)(function)
    return made


@_compiled
def _add_rows(weights, sources, rows, first, fours, into, unit):
    """into[unit] += the sum of weights[e] * rows[sources[e]] over four times `fours` edges from `first` on."""
    edge = first
    for _ in range(fours // 2):  # eight at a time: `into` is read and written half as often
        w0, w1, w2, w3 = weights[edge], weights[edge + 1], weights[edge + 2], weights[edge + 3]
        w4, w5, w6, w7 = weights[edge + 4], weights[edge + 5], weights[edge + 6], weights[edge + 7]
        s0, s1, s2, s3 = sources[edge], sources[edge + 1], sources[edge + 2], sources[edge + 3]
        s4, s5, s6, s7 = sources[edge + 4], sources[edge + 5], sources[edge + 6], sources[edge + 7]
        for k in range(into.shape[1]):
            into[unit, k] += (
                w0 * rows[s0, k] + w1 * rows[s1, k] + w2 * rows[s2, k] + w3 * rows[s3, k]
                + w4 * rows[s4, k] + w5 * rows[s5, k] + w6 * rows[s6, k] + w7 * rows[s7, k]
            )  # fmt: skip
        edge += 8
    if fours % 2:
        w0, w1, w2, w3 = weights[edge], weights[edge + 1], weights[edge + 2], weights[edge + 3]
        s0, s1, s2, s3 = sources[edge], sources[edge + 1], sources[edge + 2], sources[edge + 3]
        for k in range(into.shape[1]):
            into[unit, k] += w0 * rows[s0, k] + w1 * rows[s1, k] + w2 * rows[s2, k] + w3 * rows[s3, k]


@_compiled
def _dot_rows(slopes, unit, sources, rows, first, fours, gradients):
    """gradients[e] = slopes[unit] . rows[sources[e]] for four times `fours` edges from `first` on."""
    edge = first
    for _ in range(fours):
        s0, s1, s2, s3 = sources[edge], sources[edge + 1], sources[edge + 2], sources[edge + 3]
        d0 = d1 = d2 = d3 = slopes.dtype.type(0)
        for k in range(rows.shape[1]):
            slope = slopes[unit, k]
            d0 += slope * rows[s0, k]
            d1 += slope * rows[s1, k]
            d2 += slope * rows[s2, k]
            d3 += slope * rows[s3, k]
        gradients[edge], gradients[edge + 1], gradients[edge + 2], gradients[edge + 3] = d0, d1, d2, d3
        edge += 4


@_compiled
def _forward(x, units, first, fours, sources, idle, first_layer, classes, weights, biases, outputs):
    """What comes out of every unit; of the output units, the logits. x: (inputs + 1, columns)."""
    zero = outputs.dtype.type(0)
    hidden = len(units) - classes
    for i in range(len(units)):
        if idle[i]:
            continue
        unit = units[i]
        for k in range(outputs.shape[1]):
            outputs[unit, k] = biases[unit]
        if i < first_layer:
            _add_rows(weights, sources, x, first[i], fours[i], outputs, unit)
        else:
            _add_rows(weights, sources, outputs, first[i], fours[i], outputs, unit)
        if i < hidden:
            for k in range(outputs.shape[1]):
                value = outputs[unit, k]
                outputs[unit, k] = zero if value <= 0 else value  # NaN stays


@_compiled
def _output_slopes(labels, hidden, classes, outputs, slopes, column):
    """The gradient of the mean cross-entropy by the logits: (softmax - one-hot) / batch; 0 past the batch's end."""
    zero, batch = slopes.dtype.type(0), len(labels)
    share = slopes.dtype.type(1.0 / batch)
    columns = slopes.shape[1]
    for k in range(columns):
        column[k] = outputs[hidden, k]
    for c in range(1, classes):
        for k in range(columns):
            column[k] = max(column[k], outputs[hidden + c, k])
    for c in range(classes):
        for k in range(columns):
            slopes[hidden + c, k] = np.exp(outputs[hidden + c, k] - column[k])
    for k in range(columns):
        column[k] = slopes[hidden, k]
    for c in range(1, classes):
        for k in range(columns):
            column[k] += slopes[hidden + c, k]
    for k in range(columns):
        column[k] = share / column[k]
    for c in range(classes):
        for k in range(columns):
            slopes[hidden + c, k] = slopes[hidden + c, k] * column[k] if k < batch else zero
    for k in range(batch):
        slopes[hidden + labels[k], k] -= share


@_compiled
def _hidden_slopes(units, first, fours, sources, weights, outputs, slopes):
    """Back through the edges, from the last hidden layer to the first; nothing comes through a unit that is off."""
    zero = slopes.dtype.type(0)
    for i in range(len(units)):
        if fours[i] == 0:
            continue  # its slopes are 0 from the beginning
        unit = units[i]
        for k in range(slopes.shape[1]):
            slopes[unit, k] = zero
        _add_rows(weights, sources, slopes, first[i], fours[i], slopes, unit)
        for k in range(slopes.shape[1]):
            slopes[unit, k] = zero if outputs[unit, k] <= 0 else slopes[unit, k]


@_compiled
def _update(kind, values, gradients, first_moment, second_moment, step, rate, momentum, decay):
    """One step of torch.optim's SGD, Adam or AdamW, in place. step: counted from 1. rate, momentum, decay: floats."""
    real = values.dtype.type
    if kind == SGD:
        lr, mu, wd = real(rate), real(momentum), real(decay)
        for p in range(len(values)):
            gradient = gradients[p] + wd * values[p]
            if momentum != 0:
                first_moment[p] = mu * first_moment[p] + gradient
                gradient = first_moment[p]
            values[p] -= lr * gradient
    else:
        size, root = real(rate / (1 - BETA1**step)), real(1 / np.sqrt(1 - BETA2**step))
        keep, one, two, least = real(BETA2), real(1 - BETA1), real(1 - BETA2), real(EPSILON)
        coupled, shrink = real(decay if kind == ADAM else 0.0), real(1 - rate * decay if kind == ADAMW else 1.0)
        for p in range(len(values)):
            value = values[p] * shrink
            gradient = gradients[p] + coupled * value
            first_moment[p] += (gradient - first_moment[p]) * one
            second_moment[p] = second_moment[p] * keep + gradient * gradient * two
            values[p] = value - size * first_moment[p] / (np.sqrt(second_moment[p]) * root + least)


@_compiled
def take_steps(
    x, labels, units, first, fours, sources, idle, first_layer, classes,
    back_units, back_first, back_fours, back_sources, back_weight,
    weights, biases, has_bias, weight_moments, bias_moments, outputs, slopes, gradients, bias_gradients, back, column,
    kind, taken, rates, momentum, decay,
):  # fmt: skip
    """Train one network for as many steps as `rates` has numbers.

    x: (steps, inputs + 1, columns), the last row and what is past the batch's end 0. labels: (steps, batch)
    int64. units to back_weight: a Wiring. weights: (edges,), biases: (units,), has_bias: (units,) bool.
    weight_moments: (2, edges), bias_moments: (2, units). outputs, slopes: (units + 1, columns), the last row 0;
    gradients, bias_gradients, back, column: (edges,), (units,), (backward edges,), (columns,) of room to work
    in. taken: optimizer steps before these. rates: (steps,) float64.
    """
    hidden = len(units) - classes
    for s in range(len(rates)):
        _forward(x[s], units, first, fours, sources, idle, first_layer, classes, weights, biases, outputs)
        _output_slopes(labels[s], hidden, classes, outputs, slopes, column)
        for e in range(len(back)):
            back[e] = weights[back_weight[e]]
        _hidden_slopes(back_units, back_first, back_fours, back_sources, back, outputs, slopes)
        for i in range(len(units)):
            if idle[i]:
                continue  # its gradients are 0 from the beginning
            unit = units[i]
            if i < first_layer:
                _dot_rows(slopes, unit, sources, x[s], first[i], fours[i], gradients)
            else:
                _dot_rows(slopes, unit, sources, outputs, first[i], fours[i], gradients)
            total = slopes.dtype.type(0)
            for k in range(slopes.shape[1]):
                total += slopes[unit, k]
            bias_gradients[unit] = total if has_bias[unit] else slopes.dtype.type(0)
        step = taken + s + 1
        _update(kind, weights, gradients, weight_moments[0], weight_moments[1], step, rates[s], momentum, decay)
        _update(kind, biases, bias_gradients, bias_moments[0], bias_moments[1], step, rates[s], momentum, decay)


@_compiled
def logits_of(x, units, first, fours, sources, idle, first_layer, classes, weights, biases, outputs, logits):
    """Write the logits of one network, (tiles, classes, columns), for x (tiles, inputs + 1, columns)."""
    hidden = len(units) - classes
    for tile in range(len(x)):
        _forward(x[tile], units, first, fours, sources, idle, first_layer, classes, weights, biases, outputs)
        for c in range(classes):
            for k in range(outputs.shape[1]):
                logits[tile, c, k] = outputs[hidden + c, k]
