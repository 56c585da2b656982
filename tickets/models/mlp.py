"""Fully connected networks."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated

from torch import nn

from tickets.config.types import AddedLater, FractionBelowOne, Widths, one_of
from tickets.errors import InputError
from tickets.models.dropout import rate_problems
from tickets.models.scale import Scale

_PARAMETRISATIONS = ("standard", "ntk")


def mlp(
    input_shape: Sequence[int],
    classes: int,
    widths: Widths = (100, 100),
    dropout: AddedLater[FractionBelowOne] = 0.0,
    bias: AddedLater[bool] = True,
    parametrisation: AddedLater[Annotated[str, one_of("choice", ("standard", "ntk"))]] = "standard",
) -> nn.Sequential:
    """Flatten, then Linear and ReLU for each hidden layer, then Linear.

    The network is one nn.Sequential of these modules, which the stack trainer recognises and computes faster.

    Parameters
    ----------
    input_shape
        The shape of one example. Inputs are (b, *input_shape).
    classes
        The number of outputs: logits are (b, classes).
    widths
        The number of units of each hidden layer, >= 1. Without hidden layers the network is a linear classifier.
    dropout
        The probability that a hidden unit is dropped in training, in [0, 1). If it is above 0, a Dropout follows each
        ReLU; the names of the parameters do not change.
    bias
        Whether the Linear layers have biases.
    parametrisation
        "ntk" multiplies the output of each Linear layer by sqrt(2 / fan_in), of the last one by sqrt(1 / fan_in), as
        the proofs about wide networks do (Jacot et al. 2018; Du et al. 2019): with weights of variance 1, outputs and
        their gradients then have the same size at every width, and one learning rate fits all. The start is then
        one of variance 1, such as init = { name = "normal", scale = 1.0 }. "standard" multiplies by nothing.

    Raises
    ------
    InputError
        If a width is not a whole number >= 1, dropout is not in [0, 1), or the parametrisation is another one.
    """
    problems = list(rate_problems(dropout))
    whole = [isinstance(width, int) and not isinstance(width, bool) and width >= 1 for width in widths]
    if not all(whole):
        problems.append(f"model.widths = {widths!r}: must be a list of whole numbers, each 1 or more")
    if parametrisation not in _PARAMETRISATIONS:
        problems.append(f"model.parametrisation = {parametrisation!r}: must be one of {', '.join(_PARAMETRISATIONS)}")
    if problems:
        raise InputError(problems)
    sizes = [math.prod(input_shape), *widths]
    layers: list[tuple[str, nn.Module]] = [("0", nn.Flatten())]
    scaled = parametrisation == "ntk"
    for index, (before, after) in enumerate(itertools.pairwise(sizes)):
        layers.append((f"{2 * index + 1}", nn.Linear(before, after, bias)))
        if scaled:
            layers.append((f"{2 * index + 1}_scale", Scale(math.sqrt(2 / before))))
        layers.append((f"{2 * index + 2}", nn.ReLU()))
        if dropout > 0:
            layers.append((f"{2 * index + 2}_dropout", nn.Dropout(dropout)))
    layers.append((f"{2 * len(widths) + 1}", nn.Linear(sizes[-1], classes, bias)))
    if scaled:
        layers.append((f"{2 * len(widths) + 1}_scale", Scale(math.sqrt(1 / sizes[-1]))))
    return nn.Sequential(OrderedDict(layers))


def lenet_300_100(input_shape: Sequence[int], classes: int) -> nn.Sequential:
    """LeNet-300-100: 266,200 weights for MNIST (LeCun et al. 1998; Frankle & Carbin 2019, figure 2).

    Parameters
    ----------
    input_shape
        The shape of one example.
    classes
        The number of outputs: logits are (b, classes).
    """
    return mlp(input_shape, classes, (300, 100))
