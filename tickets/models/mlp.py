"""Fully connected networks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import nn

from tickets.errors import InputError


def mlp(input_shape: Sequence[int], classes: int, widths: Sequence[int]) -> nn.Sequential:
    """Flatten, then Linear and ReLU for each of `widths`, then Linear to `classes`.

    (b, *input_shape) to (b, classes) logits. No widths at all make a linear classifier. The modules are
    exactly these, in one nn.Sequential: the stack trainer knows such a network and runs it faster. Raises
    InputError unless every width is a whole number >= 1.
    """
    whole = [isinstance(width, int) and not isinstance(width, bool) and width >= 1 for width in widths]
    if not all(whole):
        raise InputError(f"model.widths = {widths!r}: must be a list of whole numbers, each 1 or more")
    sizes = [math.prod(input_shape), *widths]
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))


def lenet_300_100(input_shape: Sequence[int], classes: int) -> nn.Sequential:
    """LeNet-300-100: 266,200 weights for MNIST (LeCun et al. 1998; Frankle & Carbin 2019, figure 2)."""
    return mlp(input_shape, classes, (300, 100))
