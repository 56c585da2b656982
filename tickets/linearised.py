"""Gradient descent on the mean squared error of a network that is linear in its parameters."""

from __future__ import annotations

import math

from torch import Tensor

MOST = 2**40
"""The most steps that are looked at."""


def linear_rate(shrinks: float) -> float:
    """By how much the logarithm of the loss falls in a step: -2 ln |1 - shrinks|.

    Parameters
    ----------
    shrinks : float
        Part of the residual that a step removes.

    Returns
    -------
    float
        Negative where the loss rises, inf where one step removes all.
    """
    left = abs(1.0 - shrinks)
    return math.inf if left == 0 else 0.0 - 2.0 * math.log(left)  # 0.0 for 1, not -0.0


def steps_to_loss(shrinks: Tensor, parts: Tensor, loss: float) -> float:
    """The first step at which the loss is at or below a level.

    The loss after t steps is the sum over the parts of part * (1 - shrinks)**(2 t).

    Parameters
    ----------
    shrinks : Tensor, (n,)
        What a step removes of each part of the residual.
    parts : Tensor, (n,)
        The loss of each part before the first step.
    loss : float
        The level, > 0.

    Returns
    -------
    float
        A whole number; NaN if it is not reached within `MOST` steps, or if a part rises.
    """
    left = (1.0 - shrinks).abs().double()
    if bool((left[parts > 0] > 1).any()):
        return math.nan

    def after(steps: int) -> float:
        return float((parts.double() * left ** (2 * steps)).sum())

    low, high = -1, 1
    if after(0) <= loss:
        return 0.0
    while after(high) > loss:
        low, high = high, 2 * high
        if high > MOST:
            return math.nan
    low = max(low, 0)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if after(middle) > loss else (low, middle)
    return float(high)
