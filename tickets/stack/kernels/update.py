"""One optimizer step over all surviving weights or all biases."""

from __future__ import annotations

import numpy as np

from tickets.stack.kernels.compiled import compiled

SGD, ADAM, ADAMW = range(3)
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # of Adam and AdamW: torch.optim's defaults


@compiled
def update(kind, values, gradients, first_moment, second_moment, step, rate, momentum, decay):
    """One in-place step of SGD, Adam or AdamW as in torch.optim.

    step: counted from 1. rate, momentum, decay: floats.
    """
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
