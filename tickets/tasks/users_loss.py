"""A loss of the user's own, "module:function"."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tickets.errors import UserCodeError
from tickets.random_state import seed_generators, untouched_generators
from tickets.tasks.measuring import r2, right, squared_errors, without_what_is_not_finite
from tickets.tasks.task import Accuracy, Scale
from tickets.users_code import one_line

_SEED = 0  # of what the function draws in an evaluation
_FEW = 1000  # training examples that the loss of guessing is measured on


@dataclass(frozen=True)
class UsersLoss:
    """See Task. The function maps (outputs, targets) of one network and batch to the mean loss, a scalar tensor.

    Accuracy is measured where the targets are classes and the outputs (n, m), m > 1; R2 where targets and outputs are
    floating-point numbers of the same shape. The loss over a set of examples is the mean over its chunks, weighted by
    their examples.

    Attributes
    ----------
    name : str
        "module:function".
    function : callable
        The imported function.
    """

    name: str
    function: Callable[[Tensor, Tensor], Any]

    @property
    def outputs(self) -> None:
        """See Task.outputs: the function decides."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See Task.loss. Numbers to predict are passed in the dtype of the outputs, float32 at least.

        Raises UserCodeError if the function fails or returns no scalar tensor.
        """
        if targets.dtype.is_floating_point:  # autograd refuses two dtypes in most losses
            targets = targets.to(torch.promote_types(outputs.dtype, targets.dtype))
        shapes = f"outputs of shape {tuple(outputs.shape)} and targets of shape {tuple(targets.shape)}"
        try:
            loss = self.function(outputs, targets)
        except (Exception, SystemExit) as error:
            raise UserCodeError(f"train.loss = {self.name!r}: fails on {shapes}: {one_line(error)}") from error
        if not isinstance(loss, Tensor) or loss.dim() or not loss.dtype.is_floating_point:
            what = f"a {type(loss).__name__}"
            if isinstance(loss, Tensor):
                what = f"a tensor of shape {tuple(loss.shape)} and dtype {loss.dtype}"
            raise UserCodeError(
                f"train.loss = {self.name!r}: returns {what} for {shapes}; must return the mean loss of the batch, a "
                "floating-point tensor of shape ()"
            )
        return loss

    def totals(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See Task.totals: the loss times n, then what accuracy or R2 needs."""
        accuracy = _accuracy(targets, tuple(outputs.shape[2:]))
        measured: list[Tensor] = []
        if accuracy == "accuracy":
            measured = [right(outputs, targets).double()[:, None]]
        elif accuracy == "R2":
            measured = [squared_errors(outputs, targets)]
        losses = torch.stack([self._evaluated(one, targets) for one in outputs])
        return torch.cat([len(targets) * losses.detach()[:, None], *measured], 1)

    def _evaluated(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of one network, from copies (the function may write to them) and a fixed seed (it may draw)."""
        with untouched_generators():
            seed_generators(_SEED)
            return self.loss(outputs.clone(), targets.clone()).double()

    def means(self, totals: Tensor, targets: Tensor) -> Tensor:
        """See Task.means."""
        loss, measured = totals[:, 0] / len(targets), totals[:, 1:]
        if not measured.shape[1]:
            accuracy = torch.full_like(loss, torch.nan)
        elif targets.dtype.is_floating_point:
            accuracy = r2(measured, targets)
        else:
            accuracy = measured[:, 0] / len(targets)
        return without_what_is_not_finite(loss, accuracy)

    def problems(self, targets: Tensor, classes: int) -> list[str]:
        """See Task.problems: the function decides."""
        return []

    def scale(self, targets: Tensor, classes: int, output: tuple[int, ...]) -> Scale:
        """See Task.scale.

        The loss of guessing is that of equal outputs for classes, and of the mean target for numbers; there is none
        where the function cannot be computed for these, or is not positive there.
        """
        accuracy = _accuracy(targets, output)
        if accuracy == "none":
            return Scale(accuracy, math.inf)
        some = targets[:_FEW]
        guess = torch.zeros(len(some), *output, device=targets.device)
        if accuracy == "R2":
            guess = guess + targets.mean(0)
        try:
            loss = float(self.loss(guess, some.clone()))
        except UserCodeError:
            loss = math.inf
        return Scale(accuracy, loss if math.isfinite(loss) and loss > 0 else math.inf)


def _accuracy(targets: Tensor, output: tuple[int, ...]) -> Accuracy:
    """What can be measured beside the loss. output: the shape of the model's output for one example."""
    if targets.dtype.is_floating_point:
        return "R2" if output == tuple(targets.shape[1:]) else "none"
    return "accuracy" if len(output) == 1 and output[0] > 1 else "none"
