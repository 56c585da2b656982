"""The probe `gram`: the eigenvalues of a network's Gram matrix, and how fast they let gradient descent converge."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from tickets.config import TrainConfig
from tickets.config.own_train import recipe_of
from tickets.config.types import CountFromOne, Positive
from tickets.errors import InputError
from tickets.gram import PART, Kept, gram_matrix
from tickets.linearised import linear_rate, steps_to_loss
from tickets.probes.chosen import chosen_examples
from tickets.probes.networks import Networks, Tensors
from tickets.probes.probe import alone, without_trained, working_memory
from tickets.process_state import settings_kept
from tickets.random_state import untouched_generators
from tickets.stack.anatomy import Anatomy
from tickets.tasks import task_of
from tickets.users_code import one_line

OUTPUTS = 1000  # of all examples together, in the estimate of memory
_SQUARED = ("mse", "mse_one_hot")


def gram_bytes(anatomy: Anatomy) -> int:
    """Bytes that measuring one network takes: its parameters in float64, and the derivatives of 1,000 outputs.

    Those by a Linear layer's weights are there a part at a time; those by another parameter all together, and once more
    without the entries that are pruned.
    """
    module = anatomy.module
    linear = {id(one) for layer in module.modules() if type(layer) is nn.Linear for one in layer.parameters()}
    sizes = [(id(one) in linear, one.numel()) for one in module.parameters()]
    parts = max((min(PART, OUTPUTS * size) for by_parts, size in sizes if by_parts), default=0)
    whole = max((2 * OUTPUTS * size for by_parts, size in sizes if not by_parts), default=0)
    return 16 * sum(size for _, size in sizes) + 8 * (4 * OUTPUTS**2 + max(parts, whole))


@alone
@without_trained
@working_memory(gram_bytes, one_by_one=True)
def gram(networks: Networks, examples: CountFromOne = 100, loss: Positive = 1e-3) -> pd.DataFrame:
    """Measure the Gram matrix of each network's outputs before training, and how training changes it: a row for each.

    The matrix K has a row and a column for each of the k outputs for each of n training examples: the inner products of
    the outputs' gradients by the parameters that are trained, without pruned weights (`tickets.gram`).

    | column | meaning |
    | --- | --- |
    | outputs | n k, the size of K |
    | smallest, largest | K's eigenvalues before training; 0 for one that rounding alone parts from 0 |
    | smallest_trained | the smallest one after training |
    | change | the length (Frobenius norm) of K after training minus K before, over the length of K before |
    | rate | the linear rate that `smallest` predicts for the training loss: its logarithm falls by so much in a step |
    | steps | the steps after which the linearised network has a training loss of `loss` or less |

    With the mean squared error and gradient descent with the learning rate r, an eigenvector's part of the residual
    shrinks by the factor 1 - 2 r e / (n k) in a step, where e is its eigenvalue, as long as K stays as it is. `rate` is
    that of the slowest part, -2 ln |1 - 2 r e / (n k)|; `steps` is of all parts together, from the residual before
    training, and NaN if the loss never gets so low. Both are NaN unless the loss is "mse" or "mse_one_hot", the arm's
    optimizer is sgd with a constant learning rate, without momentum and weight decay, each batch is of all training
    examples as they are, K is of all of them, and the network computes the same in training as in evaluation mode
    (dropout and batch normalisation do not). They are NaN, too, for an arm that learns its mask: its weights stay. What
    is of a network with a value that is not finite is NaN.

    Parameters
    ----------
    networks
        The networks.
    examples
        The number n of training examples; all, if there are no more. Time and memory grow with (n k)**2.
    loss
        The training loss of `steps`.

    Raises
    ------
    InputError
        If the outputs cannot be differentiated.

    Source: Jacot, Gabriel & Hongler (2018); Du, Zhai, Poczos & Singh (2019), sections 3 and 4.
    """
    with settings_kept():
        torch.set_num_threads(1)  # the last bits are then the same on every machine with this kind of CPU
        return _measured(networks, examples, loss)


def _measured(networks: Networks, examples: int, loss: float) -> pd.DataFrame:
    inputs, targets = chosen_examples(networks, examples)
    whole = len(targets) == len(networks.examples.train_labels) and networks.examples.augment is None
    rows = []
    for index in range(len(networks)):
        row = {"network": index, **dict.fromkeys(("outputs", *_MEASURED), math.nan)}
        start = _of(networks, index, networks.initial, inputs)
        if start is not None:
            recipe = _recipe(networks, index) if whole else None
            plain = recipe is not None and _is_plain(recipe, len(targets)) and _is_fixed(networks, index, inputs, start)
            row |= _before(start, targets, recipe if plain else None, loss)
            end = _of(networks, index, networks.values, inputs) if networks.values else None
            if end is not None:
                row |= {
                    "smallest_trained": _smallest(torch.linalg.eigvalsh(end.matrix)),
                    "change": float((end.matrix - start.matrix).norm() / start.matrix.norm()),
                }
        rows.append(row)
    return pd.DataFrame(rows)


_MEASURED = ("smallest", "largest", "smallest_trained", "change", "rate", "steps")


@dataclass(frozen=True)
class _Linear:
    """A network as its own linearisation sees it: the outputs, (n, k), and the Gram matrix."""

    outputs: Tensor
    matrix: Tensor


def _of(networks: Networks, index: int, values: Tensors, inputs: Tensor) -> _Linear | None:
    """One network at some values; None if one of them, or an output, is not finite."""
    own = {name: value[index] for name, value in values.items()}
    if not all(bool(value.isfinite().all()) for value in own.values()):
        return None
    module = networks.module(index, values).double()
    given = inputs.double() if inputs.is_floating_point() else inputs
    try:
        with torch.no_grad():
            outputs = module(given.clone()).flatten(1)
        matrix = gram_matrix(module, given, _kept(networks, index))
    except (RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"probe 'gram': the outputs cannot be differentiated: {one_line(error)}; leave the probe out"
        ) from error
    return _Linear(outputs, matrix) if bool(outputs.isfinite().all()) and bool(matrix.isfinite().all()) else None


def _kept(networks: Networks, index: int) -> Kept:
    """Of each parameter, which entries training can move."""
    return {
        name: networks.masks[name][index].bool()
        if name in networks.masks
        else torch.ones(networks.initial[name].shape[1:], dtype=torch.bool, device=networks.device)
        for name in networks.context.anatomy.trained
    }


def _recipe(networks: Networks, index: int) -> TrainConfig | None:
    """How the weights of a network are trained; None if its mask is learned, and they are not."""
    arm = next(arm for arm in networks.run.arms if arm.label == networks.labels[index].arm)
    return None if arm.entry.learned else recipe_of(networks.run.train, arm)


def _is_fixed(networks: Networks, index: int, inputs: Tensor, start: _Linear) -> bool:
    """Whether a network's outputs are the same in training mode."""
    module = networks.module(index, networks.initial).double().train()
    given = inputs.double() if inputs.is_floating_point() else inputs
    try:
        with untouched_generators(), torch.no_grad():
            return torch.allclose(module(given.clone()).flatten(1), start.outputs)
    except (RuntimeError, ValueError):  # batch normalisation of one example
        return False


def _before(start: _Linear, targets: Tensor, recipe: TrainConfig | None, loss: float) -> dict[str, Any]:
    values, vectors = torch.linalg.eigh(start.matrix)
    row = {"outputs": len(values), "smallest": _smallest(values), "largest": float(values[-1])}
    if recipe is None:
        return row
    step = 2 * recipe.learning_rate / len(values)  # the loss is a mean over outputs and examples
    own = start.outputs.clone().requires_grad_()
    (slope,) = torch.autograd.grad(task_of(recipe).loss(own, targets), own)
    residual = slope.flatten() * len(values) / 2  # of the mean of squares
    parts = (vectors.T @ residual).square() / len(values)
    return row | {
        "rate": linear_rate(_smallest(values) * step),
        "steps": steps_to_loss((values * step).clamp(min=0.0), parts, loss),
    }


def _smallest(values: Tensor) -> float:
    """The smallest of a matrix's eigenvalues, which rise; none is below 0, and what rounding makes of 0 is 0."""
    rounding = len(values) * torch.finfo(values.dtype).eps * values[-1]
    return float(values[0]) if values[0] > rounding else 0.0


def _is_plain(recipe: TrainConfig, examples: int) -> bool:
    """Whether a step is one of gradient descent on the mean squared error of so many examples."""
    return (
        recipe.loss in _SQUARED
        and recipe.optimizer == "sgd"
        and recipe.schedule == "constant"
        and not (recipe.momentum or recipe.weight_decay or recipe.warmup_steps)
        and recipe.batch_size >= examples
    )
