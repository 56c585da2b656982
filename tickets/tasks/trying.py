"""A user's loss tried once before any training: does it return a mean loss that can be differentiated?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tickets.data import Examples
from tickets.errors import UserCodeError
from tickets.random_state import untouched_generators
from tickets.tasks.users_loss import UsersLoss

_DOUBLED = 1e-3  # relative: the loss of a batch and the batch again, over that of the batch, beside 2


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
        over the batch, or returns NaN or infinity (or has such a gradient) for finite outputs. The message names it.
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
    (gradient,) = torch.autograd.grad(loss, leaf)
    if not gradient.isfinite().all():
        return f"the gradient of its loss, {loss.item():.4g}, by the outputs is not finite"
    once = float(loss.detach())
    twice = task.loss(torch.cat([outputs] * 2), torch.cat([targets] * 2))
    if once and abs(float(twice) / once - 2) < _DOUBLED:
        return "returns the sum over the batch (it doubles with the batch); must return the mean: use mean()"
    return None
