"""Regression: the mean squared error."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tickets.tasks.measuring import r2, squared_deviations, squared_errors, without_what_is_not_finite
from tickets.tasks.task import Scale


@dataclass(frozen=True)
class SquaredError:
    """See Task. The loss is the mean over examples and over the k numbers of a target; R2 is measured beside it."""

    @property
    def name(self) -> str:
        """See Task.name."""
        return "mse"

    @property
    def outputs(self) -> str:
        """See Task.outputs."""
        return "numbers to predict"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See Task.loss. outputs: (batch, k)."""
        dtype = torch.promote_types(outputs.dtype, targets.dtype)  # autograd refuses two dtypes
        return functional.mse_loss(outputs.to(dtype), targets.to(dtype))

    def totals(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See Task.totals: (R, k), the squared errors of each number."""
        return squared_errors(outputs, targets)

    def means(self, totals: Tensor, targets: Tensor) -> Tensor:
        """See Task.means."""
        return without_what_is_not_finite(totals.sum(1) / targets.numel(), r2(totals, targets))

    def problems(self, targets: Tensor, classes: int) -> list[str]:
        """See Task.problems."""
        if not targets.dtype.is_floating_point:
            return [
                'train.loss = "mse": needs floating-point labels, the numbers to predict, and those of the data are '
                'whole numbers (classes); return them as float32, or write loss = "cross_entropy"'
            ]
        if not (targets != targets[:1]).any():
            return [
                'train.loss = "mse": the labels of all training examples are the same, so there is nothing to predict'
            ]
        return []

    def scale(self, targets: Tensor, classes: int, output: tuple[int, ...]) -> Scale:
        """See Task.scale. The loss of guessing is that of the mean target, the variance."""
        return Scale("R2", float(squared_deviations(targets).sum()) / targets.numel())
