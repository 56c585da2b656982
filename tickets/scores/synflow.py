"""SynFlow (Tanaka, Kunin, Yamins & Ganguli 2020): pruning step by step, without data."""

from __future__ import annotations

import torch
from torch import Tensor

from tickets.candidate import Batch, Candidate
from tickets.config.types import CountFromOne, End
from tickets.errors import InputError


def synflow(candidate: Candidate, *, iterations: CountFromOne = 100, at: End = "theta0") -> dict[str, Tensor]:
    """|theta| * dR/d|theta|, pruned step by step: as many weights remain after step k as `Budget.at` says.

    R is the sum of the outputs of the network with every parameter replaced by its absolute value, biases and
    normalisation parameters too, on one example of ones. The network is in evaluation mode, so that batch
    normalisation uses its running statistics, and in double precision. Buffers stay as they are. (The authors' code
    takes the absolute value of buffers too, which are not negative before any training: means of 0, variances of 1.)
    From n weights of which a share d is to remain, round(n * d ** (k / iterations)) remain after the k-th step, so that
    the scores are computed anew before a layer has lost all of its weights (section 6 of the paper).

    Parameters
    ----------
    candidate
        The network.
    iterations
        The number of steps.
    at
        "theta0": theta are the values before any training; "trained": those after the round.

    Returns
    -------
    dict of str to Tensor
        Scores that keep exactly the weights which remain after the last step.

    Raises
    ------
    InputError
        If the network's inputs are whole numbers, such as tokens.
    """
    example, mask = candidate.batch(1), candidate.mask
    if not example.inputs.is_floating_point():
        raise InputError(
            f"the network's inputs are whole numbers ({example.inputs.dtype}), such as tokens, and this score needs an "
            'input of ones: "1" would be one token like others; use a score that takes examples (snip, grasp)'
        )
    ones = Batch(torch.ones_like(example.inputs), example.targets)
    parameters = dict(candidate.build().named_parameters())
    theta = {name: value.abs() if name in parameters else value for name, value in candidate.values.at(at).items()}
    for iteration in range(1, iterations + 1):
        masked = {name: value * mask[name] if name in mask else value for name, value in theta.items()}
        flow = candidate.gradients(masked, examples=ones, objective=_sum, training=False, dtype=torch.float64)
        scores = {name: masked[name] * gradient for name, gradient in flow.items()}
        mask = candidate.prune(scores, iteration / iterations, mask)
    return candidate.as_scores(mask)


def _sum(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.sum()
