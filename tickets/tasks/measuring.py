"""Accuracy and R2 of a stack of networks, from sums over examples."""

from __future__ import annotations

import torch
from torch import Tensor


def right(outputs: Tensor, labels: Tensor) -> Tensor:
    """How many examples each network classifies correctly: (R,) int64.

    Parameters
    ----------
    outputs : Tensor, (R, n, classes)
        The largest one is the answer; the first of several.
    labels : Tensor, (n,)
        int64.
    """
    return (outputs.max(2).indices == labels).sum(1)  # as argmax, which is slower


def squared_errors(outputs: Tensor, targets: Tensor) -> Tensor:
    """The squared errors of each network, summed over examples: (R, k) float64.

    Parameters
    ----------
    outputs : Tensor, (R, n, k)
    targets : Tensor, (n, k)
    """
    return (outputs.double() - targets.double()).square().sum(1)


def r2(errors: Tensor, targets: Tensor) -> Tensor:
    """The coefficient of determination, 1 - (squared errors) / (squared deviations from the mean target): (R,) float64.

    The mean over the k numbers of a target. A number that is the same in all examples has no R2 and is left out of the
    mean; without any other, R2 is NaN.

    Parameters
    ----------
    errors : Tensor, (R, k)
        As `squared_errors` gives them, over all examples.
    targets : Tensor, (n, k)
        Of all examples.
    """
    varies = (targets != targets[:1]).any(0)
    return (1.0 - errors[:, varies] / squared_deviations(targets)[varies]).mean(1)


def squared_deviations(targets: Tensor) -> Tensor:
    """The squared deviations from the mean over examples, summed: (k,) float64. targets: (n, k)."""
    return (targets.double() - targets.double().mean(0)).square().sum(0)


def without_what_is_not_finite(loss: Tensor, accuracy: Tensor) -> Tensor:
    """Loss and accuracy, (R, 2); the accuracy is NaN where the loss is not finite, for then it says nothing."""
    return torch.stack([loss, accuracy.where(loss.isfinite(), torch.nan)], 1)
