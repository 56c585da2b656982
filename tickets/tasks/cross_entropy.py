"""Classification: cross-entropy of logits, optionally with label smoothing and class weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tickets.tasks.measuring import right, without_what_is_not_finite
from tickets.tasks.task import Scale


@dataclass(frozen=True)
class CrossEntropy:
    """See Task. The loss is that of `torch.nn.functional.cross_entropy`, by whose arguments the attributes are named.

    Training, validation and test loss are all of this loss. Accuracy is the share of examples whose class has the
    largest logit; no weight changes it.

    Attributes
    ----------
    label_smoothing : float
        In [0, 1). Source: Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7.
    weight : tuple of float
        One for each class; () for equal weights. The mean over examples is weighted likewise.
    """

    label_smoothing: float = 0.0
    weight: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """See Task.name."""
        return "cross_entropy"

    @property
    def outputs(self) -> str:
        """See Task.outputs."""
        return "classes"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See Task.loss. outputs: (batch, classes)."""
        weight = self._weight(outputs)
        return functional.cross_entropy(outputs, targets, weight, label_smoothing=self.label_smoothing)

    def totals(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See Task.totals: (R, 2), the loss and the examples that are classified correctly."""
        # Classes along the middle axis: along the last, which is short, the softmax takes far longer on a CPU.
        losses = functional.cross_entropy(
            outputs.transpose(1, 2),
            targets.expand(len(outputs), -1),
            self._weight(outputs),
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        return torch.stack([losses.sum(1, dtype=torch.float64), right(outputs, targets).double()], 1)

    def means(self, totals: Tensor, targets: Tensor) -> Tensor:
        """See Task.means."""
        loss, accuracy = (totals / len(targets)).unbind(1)
        if self.weight:
            loss = totals[:, 0] / torch.tensor(self.weight, dtype=torch.float64, device=targets.device)[targets].sum()
        return without_what_is_not_finite(loss, accuracy)

    def problems(self, targets: Tensor, classes: int) -> list[str]:
        """See Task.problems."""
        if targets.dtype.is_floating_point:
            return [
                f'train.loss = "cross_entropy": needs whole-number labels, the classes from 0, and those of the data '
                f'are {_dtype(targets)}; write loss = "mse" (regression), or return the labels as int64'
            ]
        if self.weight and len(self.weight) != classes:
            return [f"train.class_weights: must have {classes} numbers, one for each class, not {len(self.weight)}"]
        return []

    def scale(self, targets: Tensor, classes: int, output: tuple[int, ...]) -> Scale:
        """See Task.scale. The loss of guessing is that of equal logits, ln(classes) without weights."""
        if not self.weight:
            return Scale("accuracy", math.log(classes))
        equal = torch.zeros(len(targets), classes, dtype=torch.float64, device=targets.device)
        return Scale("accuracy", float(self.loss(equal, targets)))

    def _weight(self, outputs: Tensor) -> Tensor | None:
        if not self.weight:
            return None
        # Not in the dtype of half-precision outputs: autocast computes the loss in float32.
        dtype = torch.float64 if outputs.dtype == torch.float64 else torch.float32
        return torch.tensor(self.weight, dtype=dtype, device=outputs.device)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
