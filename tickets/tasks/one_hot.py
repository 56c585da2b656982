"""Classification by the mean squared error to one-hot targets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tickets.tasks.measuring import right, squared_errors, without_what_is_not_finite
from tickets.tasks.task import Scale


@dataclass(frozen=True)
class OneHotSquaredError:
    """See Task. The loss is the mean, over examples and classes, of (output - target)**2.

    The target is 1 for the example's class and 0 for the others. Accuracy is the share of examples whose class has the
    largest output. Proofs that gradient descent converges at a linear rate are mostly about this loss; as a loss for
    classification: Hui & Belkin, "Evaluation of neural architectures trained with square loss vs cross-entropy", 2021.
    """

    @property
    def name(self) -> str:
        """See Task.name."""
        return "mse_one_hot"

    @property
    def outputs(self) -> str:
        """See Task.outputs."""
        return "classes"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See Task.loss. outputs: (batch, classes)."""
        return functional.mse_loss(outputs, one_hot(targets, outputs))

    def totals(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See Task.totals: (R, 2), the squared errors over examples and classes, the examples classified correctly."""
        errors = squared_errors(outputs, one_hot(targets, outputs)).mean(1)
        return torch.stack([errors, right(outputs, targets).double()], 1)

    def means(self, totals: Tensor, targets: Tensor) -> Tensor:
        """See Task.means."""
        return without_what_is_not_finite(*(totals / len(targets)).unbind(1))

    def problems(self, targets: Tensor, classes: int) -> list[str]:
        """See Task.problems."""
        if targets.dtype.is_floating_point:
            return [
                f'train.loss = "mse_one_hot": needs whole-number labels, the classes from 0, and those of the data are '
                f'{str(targets.dtype).removeprefix("torch.")}; write loss = "mse" (regression), or return the labels '
                "as int64"
            ]
        return []

    def scale(self, targets: Tensor, classes: int, output: tuple[int, ...]) -> Scale:
        """See Task.scale. The loss of guessing is that of the classes' shares of the examples, whatever the input."""
        shares = torch.bincount(targets, minlength=classes).double() / len(targets)
        return Scale("accuracy", float((shares * (1 - shares)).sum()) / classes)


def one_hot(targets: Tensor, outputs: Tensor) -> Tensor:
    """Targets (n,) as (n, classes), in the dtype of outputs (..., n, classes)."""
    return functional.one_hot(targets, outputs.shape[-1]).to(outputs.dtype)
