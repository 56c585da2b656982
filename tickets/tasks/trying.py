"""A user's loss tried once before any training: does it return a mean loss that can be differentiated?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tickets.data import Examples
from tickets.errors import UserCodeError
from tickets.random_state import untouched_generators
from tickets.tasks.users_loss import UsersLoss
from tickets.users_code import one_line

_ROUNDING = 1e-9  # relative, of sums in float64
_DOUBLED = 1e-3  # relative tolerance of loss(batch twice) / loss(batch) == 2


def check_loss(task: UsersLoss, module: nn.Module, examples: Examples, batch_size: int) -> None:
    """Compute a user's loss, and its gradient by the outputs, on the first training examples.

    Parameters
    ----------
    task : UsersLoss
        Of the run.
    module : nn.Module
        A network at initial values. Its modes and buffers are left as they were.
    examples : Examples
        On the module's device.
    batch_size : int
        How many examples; at most as many as there are.

    Raises
    ------
    UserCodeError
        If the function fails, returns something other than a scalar tensor, cannot be differentiated, returns the sum
        over the batch, does not depend on which label belongs to which output, or returns NaN or infinity (or has such
        a gradient) for finite outputs. The message names it.
    """
    modes = {part: part.training for part in module.modules()}
    try:
        with untouched_generators(), torch.no_grad():
            outputs = module.eval()(examples.train_inputs[:batch_size].clone())
    finally:
        for part, training in modes.items():
            part.training = training
    with untouched_generators():
        problem = _problem(task, outputs.detach(), examples.train_labels[:batch_size].clone())
    if problem is not None:
        raise UserCodeError(
            f"train.loss = {task.name!r}: {problem} (tried on the first {len(outputs)} training examples, before any "
            "training)"
        )


def _problem(task: UsersLoss, outputs: Tensor, targets: Tensor) -> str | None:
    leaf = outputs.clone().requires_grad_()
    loss = task.loss(leaf, targets.clone())
    if not loss.requires_grad:
        return (
            "its loss does not depend on the outputs in a way that can be differentiated; compute it by PyTorch "
            "operations on `outputs`, without detach(), item() or NumPy"
        )
    if not outputs.isfinite().all():
        return None  # then the outputs are the reason
    if not loss.isfinite():
        return f"returns {loss.item()} for finite outputs; must return a finite loss"
    try:
        (gradient,) = torch.autograd.grad(loss, leaf)
    except (Exception, SystemExit) as error:  # a function may overwrite what its gradient needs
        return f"its gradient by the outputs cannot be computed: {one_line(error)}"
    if not gradient.isfinite().all():
        return f"the gradient of its loss, {loss.item():.4g}, by the outputs is not finite"
    once = float(loss.detach())
    twice = task.loss(torch.cat([outputs] * 2), torch.cat([targets] * 2))
    if once and abs(float(twice) / once - 2) < _DOUBLED:
        return "returns the sum over the batch (it doubles with the batch); must return the mean: use mean()"
    if _ignores_the_order(task, outputs, targets):
        return (
            "returns the same when the labels are reordered, so that it does not compare each output with the label of "
            f"its example: outputs are {_shape(outputs)} and labels {_shape(targets)}, and (n,) beside (n, 1) is "
            "broadcast to (n, n); squeeze both or neither"
        )
    return None


def _ignores_the_order(task: UsersLoss, outputs: Tensor, targets: Tensor) -> bool:
    """Whether the loss is the same for other pairs of outputs and labels, though both differ between examples."""
    reordered = targets.flip(0)
    if torch.equal(reordered, targets) or bool((outputs == outputs[:1]).all()):
        return False
    try:
        one, other = (float(task.loss(outputs.double(), labels.clone())) for labels in (targets, reordered))
    except UserCodeError:  # it may not take float64
        return False
    return one != 0 and abs(one - other) <= _ROUNDING * abs(one)


def _shape(tensor: Tensor) -> str:
    sizes = ["n", *map(str, tensor.shape[1:])]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
