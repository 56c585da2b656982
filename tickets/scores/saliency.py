"""Scores from derivatives of the training loss on a few examples: SNIP and GraSP.

Both are taken where the round's mask stands: pruned weights are 0. By default the weights that survive have their
values before any training, as in the papers, so that such a mask does not depend on training.
"""

from __future__ import annotations

from torch import Tensor

from tickets.candidate import Batch, Candidate
from tickets.config.types import CountFromOne, End, Positive
from tickets.errors import InputError

PER_CLASS = 10  # examples, as is usual in experiments with SNIP and GraSP


def snip(
    candidate: Candidate,
    *,
    examples: CountFromOne | None = None,
    per_class: CountFromOne | None = None,
    at: End = "theta0",
) -> dict[str, Tensor]:
    """|theta * g|, g the gradient of the training loss: how much the loss feels each weight (Lee et al. 2019).

    Parameters
    ----------
    candidate
        The network.
    examples
        How many training examples the gradient is of.
    per_class
        Instead: how many of each class. Default: 10 of each class, or as many as the rarest class has; where the
        targets are no classes, `train.batch_size` examples.
    at
        "theta0": theta are the values before any training; "trained": those after the round.

    Raises
    ------
    InputError
        If there are not so many examples, if both numbers are given, or if the targets are no classes.
    """
    theta = candidate.values.at(at)
    gradients = candidate.gradients(theta, examples=batch_of(candidate, examples, per_class))
    return {name: (theta[name] * gradient).abs() for name, gradient in gradients.items()}


def grasp(
    candidate: Candidate,
    *,
    temperature: Positive = 200.0,
    examples: CountFromOne | None = None,
    per_class: CountFromOne | None = None,
    at: End = "theta0",
) -> dict[str, Tensor]:
    """theta * (H g), g the gradient and H the Hessian of the training loss; the highest stay (Wang et al. 2020).

    To first order, removing the weight q (a step of -theta_q) changes the squared norm of the gradient, g'g, by
    -2 theta_q (H g)_q. So where theta_q (H g)_q is high, removing q takes most from the gradient flow, and q stays.
    Where it is low, removing q takes least from it, or adds to it where the score is negative, and q goes. (The paper
    writes the score with the other sign, -theta_q (H g)_q, and removes the highest.)

    g and H are those of the weights that are not pruned yet, in the prunable tensors.

    Parameters
    ----------
    candidate
        The network.
    temperature
        What the network's outputs are divided by before the loss, whichever loss that is.
    examples, per_class, at
        As in `snip`.

    Raises
    ------
    InputError
        As in `snip`.
    """

    def tempered(outputs: Tensor, targets: Tensor) -> Tensor:
        return candidate.objective(outputs / temperature, targets)

    theta, batch = candidate.values.at(at), batch_of(candidate, examples, per_class)
    gradients = candidate.gradients(theta, examples=batch, objective=tempered)
    alive = {name: gradient * candidate.mask[name] for name, gradient in gradients.items()}
    curved = candidate.hessian_product(alive, theta, examples=batch, objective=tempered)
    return {name: theta[name] * product for name, product in curved.items()}


def batch_of(candidate: Candidate, examples: int | None, per_class: int | None) -> Batch:
    """The examples that a score's options ask for; see `snip`."""
    if examples is None and per_class is None and candidate.rarest_class is not None:
        per_class = min(PER_CLASS, candidate.rarest_class)
    try:
        return candidate.batch(examples, per_class=per_class)
    except ValueError as error:
        raise InputError(str(error)) from error
