"""Fully connected networks."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from tickets.config.types import AddedLater, CountsFromOne, FractionBelowOne
from tickets.errors import InputError
from tickets.models.dropout import rate_problems


def mlp(
    input_shape: Sequence[int],
    classes: int,
    widths: CountsFromOne = (100, 100),
    dropout: AddedLater[FractionBelowOne] = 0.0,
) -> nn.Sequential:
    """Flatten, then Linear and ReLU for each of `widths`, then Linear to `classes`.

    (b, *input_shape) to (b, classes) logits. No widths at all make a linear classifier. The modules are
    exactly these, in one nn.Sequential: the stack trainer knows such a network and runs it faster. dropout:
    the probability that a hidden unit is off, in [0, 1); above 0 a Dropout stands after each ReLU, and no
    parameter is called otherwise than without. Raises InputError unless every width is a whole number >= 1.
    """
    problems = list(rate_problems(dropout))
    whole = [isinstance(width, int) and not isinstance(width, bool) and width >= 1 for width in widths]
    if not all(whole):
        problems.append(f"model.widths = {widths!r}: must be a list of whole numbers, each 1 or more")
    if problems:
        raise InputError(problems)
    sizes = [math.prod(input_shape), *widths]
    layers: list[tuple[str, nn.Module]] = [("0", nn.Flatten())]
    for index, (before, after) in enumerate(itertools.pairwise(sizes)):
        layers += [(f"{2 * index + 1}", nn.Linear(before, after)), (f"{2 * index + 2}", nn.ReLU())]
        if dropout > 0:
            layers.append((f"{2 * index + 2}_dropout", nn.Dropout(dropout)))
    layers.append((f"{2 * len(widths) + 1}", nn.Linear(sizes[-1], classes)))
    return nn.Sequential(OrderedDict(layers))


def lenet_300_100(input_shape: Sequence[int], classes: int) -> nn.Sequential:
    """LeNet-300-100: 266,200 weights for MNIST (LeCun et al. 1998; Frankle & Carbin 2019, figure 2)."""
    return mlp(input_shape, classes, (300, 100))
