"""Loss and accuracy of every network of a stack on the same examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tickets.data import Examples
from tickets.tasks import Task

METRICS = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
)
"""The metrics of a step. For regression, accuracy is R2 (`tickets.tasks`)."""


@dataclass(frozen=True)
class Curves:
    """What was measured of R networks at E steps.

    Attributes
    ----------
    steps : Tensor, (E,)
        int64.
    values : Tensor, (E, R, 6)
        float64 on the CPU, in the order of `METRICS`.
    early_stop : Tensor, (R,), optional
        int64: the place among the steps at which each network's validation loss was lowest. None where all steps were
        measured on the same examples, so that `values` has the answer.
    early_score : Tensor, (R, 6), optional
        What the networks score there on all examples; None where `early_stop` is.
    """

    steps: Tensor
    values: Tensor
    early_stop: Tensor | None = None
    early_score: Tensor | None = None

    def metric(self, name: str) -> Tensor:
        """One metric, (E, R)."""
        return self.values[:, :, METRICS.index(name)]


# Every network's outputs, (R, n, *output), for the same inputs (n, *input_shape).
Logits = Callable[[Tensor], Tensor]


def score(task: Task, logits: Logits, x: Tensor, y: Tensor, chunk: int) -> Tensor:
    """Mean loss and accuracy (R2 for regression) of R networks on some examples: (R, 2) float64.

    The accuracy is NaN where the loss is not finite.

    Parameters
    ----------
    task : Task
        What the loss is, and what is measured beside it.
    logits : callable
        Every network's outputs for the same inputs.
    x : Tensor, (n, *input_shape)
        Inputs.
    y : Tensor, (n,) or (n, k)
        Targets.
    chunk : int
        Examples at a time.
    """
    totals = []
    for inputs, targets in zip(x.split(chunk), y.split(chunk), strict=True):
        outputs = logits(inputs)  # (R, chunk, *output)
        if outputs.dtype == torch.bfloat16:
            outputs = outputs.float()
        totals.append(task.totals(outputs, targets))
    return task.means(torch.stack(totals).sum(0), y)


def evaluate(task: Task, logits: Logits, examples: Examples, chunk: int) -> Tensor:
    """One row of the curves: (R, 6) float64 on the CPU, in the order of `METRICS`.

    The training columns are measured like the others, in evaluation mode, on the first of the training examples, as
    many as there are validation examples (the split has put them in random order). For the parameters see `score`.
    """
    seen = len(examples.validation_labels)
    parts = (
        (examples.train_inputs[:seen], examples.train_labels[:seen]),
        (examples.validation_inputs, examples.validation_labels),
        (examples.test_inputs, examples.test_labels),
    )
    return torch.cat([score(task, logits, x, y, chunk) for x, y in parts], 1).cpu()
