"""Tasks: what networks are trained for.

A task says what the loss is, what is measured beside it (accuracy, R2 or nothing), which targets and model outputs fit
it, and what guessing costs. `task_of` gives the task of a recipe; what it returns follows `Task`.
"""

from __future__ import annotations

from tickets.binding import resolve
from tickets.config import TrainConfig
from tickets.tasks.cross_entropy import CrossEntropy
from tickets.tasks.one_hot import OneHotSquaredError
from tickets.tasks.squared_error import SquaredError
from tickets.tasks.task import Accuracy, Loss, Scale, Task
from tickets.tasks.users_loss import UsersLoss

__all__ = ["Accuracy", "Loss", "OneHotSquaredError", "Scale", "Task", "is_plain_cross_entropy", "task_of"]


def task_of(recipe: TrainConfig) -> Task:
    """The task that a recipe names in `loss`, `label_smoothing` and `class_weights`.

    Parameters
    ----------
    recipe : TrainConfig
        The section [train] of a campaign file.

    Raises
    ------
    InputError
        If `loss` names a function that is not there or cannot be imported.
    """
    if recipe.loss == "cross_entropy":
        return CrossEntropy(recipe.label_smoothing, recipe.class_weights)
    if recipe.loss == "mse":
        return SquaredError()
    if recipe.loss == "mse_one_hot":
        return OneHotSquaredError()
    return UsersLoss(recipe.loss, resolve(recipe.loss))


def is_plain_cross_entropy(recipe: TrainConfig) -> bool:
    """Whether the loss is cross-entropy without label smoothing or class weights.

    Some strategies have its gradient written out, and can train by no other loss.
    """
    return recipe.loss == "cross_entropy" and not recipe.label_smoothing and not recipe.class_weights
