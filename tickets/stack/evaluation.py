"""What every network of a stack scores on the same examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tickets.data import Examples

METRICS = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
)


@dataclass(frozen=True)
class Curves:
    """What was measured, when. steps: (E,) int64. values: (E, R, 6) float64 on the CPU, in the order of METRICS.

    early_stop: (R,) int64, the place among the steps at which each network's validation loss was lowest, where not all
    steps were measured on the same examples; None where they were, and the values say it. early_score: (R, 6), what the
    networks score there on all examples; None with the former.
    """

    steps: Tensor
    values: Tensor
    early_stop: Tensor | None = None
    early_score: Tensor | None = None

    def metric(self, name: str) -> Tensor:
        """One metric, (E, R)."""
        return self.values[:, :, METRICS.index(name)]


# Every network's outputs, (R, n, classes), for the same inputs (n, *input_shape).
Logits = Callable[[Tensor], Tensor]


def score(logits: Logits, x: Tensor, y: Tensor, chunk: int) -> Tensor:
    """Mean cross-entropy and accuracy of every network on the examples: (R, 2) float64.

    x: (n, *input_shape). y: (n,) int64. chunk: how many examples at a time. Where the loss is not finite the
    network says nothing about the examples, and its accuracy is NaN.
    """
    totals = []
    for inputs, labels in zip(x.split(chunk), y.split(chunk), strict=True):
        outputs = logits(inputs)  # (R, chunk, classes)
        if outputs.dtype == torch.bfloat16:
            outputs = outputs.float()
        # Classes along the middle axis: along the last, which is short, the softmax takes far longer on a CPU.
        losses = functional.cross_entropy(outputs.transpose(1, 2), labels.expand(len(outputs), -1), reduction="none")
        right = (outputs.max(2).indices == labels).sum(1)  # the first of several, as argmax, which is slower
        totals.append(torch.stack([losses.sum(1, dtype=torch.float64), right.double()], 1))
    loss, accuracy = (torch.stack(totals).sum(0) / len(y)).unbind(1)
    return torch.stack([loss, accuracy.where(loss.isfinite(), torch.nan)], 1)


def evaluate(logits: Logits, examples: Examples, chunk: int) -> Tensor:
    """One row of the curves: (R, 6) float64 on the CPU, in the order of METRICS.

    The training columns are measured like the others, in evaluation mode, on the first of the training
    examples, as many as there are validation examples (the split has put them in random order).
    """
    seen = len(examples.validation_labels)
    parts = (
        (examples.train_inputs[:seen], examples.train_labels[:seen]),
        (examples.validation_inputs, examples.validation_labels),
        (examples.test_inputs, examples.test_labels),
    )
    return torch.cat([score(logits, x, y, chunk) for x, y in parts], 1).cpu()
