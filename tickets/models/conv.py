"""Conv-2, Conv-4 and Conv-6: the small VGG-like networks of Frankle & Carbin 2019 (figure 2).

Pairs of 3x3 convolutions (64, 128, 256 channels; same padding, ReLU), each pair followed by 2x2 max pooling; then fully
connected layers of 256, 256 and `classes` units. For 3x32x32 images and 10 classes the networks have 4,300,992,
2,425,024 and 2,261,184 weights, without biases. The paper gives 4.3M, 2.4M and 1.7M; the last number does not follow
from the layers that it lists.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from tickets.config.types import AddedLater, FractionBelowOne, Widths
from tickets.errors import InputError
from tickets.models.dropout import rate_problems


def conv2(
    input_shape: Sequence[int],
    classes: int,
    dropout: FractionBelowOne = 0.0,
    widths: AddedLater[Widths] = (64, 256, 256),
) -> nn.Sequential:
    """Conv-2: 2 convolutions, then 3 fully connected layers.

    Parameters
    ----------
    input_shape
        The shape of one example, (channels, height, width); height and width are multiples of 2.
    classes
        The number of outputs: logits are (b, classes).
    dropout
        The probability that a unit of a hidden fully connected layer is dropped in training, in [0, 1). If it is above
        0, a Dropout follows each of these layers.
    widths
        The channels of each pair of convolutions, then the units of the two hidden fully connected layers, >= 1.

    Raises
    ------
    InputError
        If the shape of the examples, `dropout` or `widths` is not as above.
    """
    return _conv("conv2", 1, input_shape, classes, dropout, widths)


def conv4(
    input_shape: Sequence[int],
    classes: int,
    dropout: FractionBelowOne = 0.0,
    widths: AddedLater[Widths] = (64, 128, 256, 256),
) -> nn.Sequential:
    """Conv-4: 4 convolutions; parameters and errors as for `conv2`, with height and width multiples of 4."""
    return _conv("conv4", 2, input_shape, classes, dropout, widths)


def conv6(
    input_shape: Sequence[int],
    classes: int,
    dropout: FractionBelowOne = 0.0,
    widths: AddedLater[Widths] = (64, 128, 256, 256, 256),
) -> nn.Sequential:
    """Conv-6: 6 convolutions; parameters and errors as for `conv2`, with height and width multiples of 8."""
    return _conv("conv6", 3, input_shape, classes, dropout, widths)


def _conv(
    name: str, pairs: int, input_shape: Sequence[int], classes: int, dropout: float, widths: Sequence[int]
) -> nn.Sequential:
    """The network that maps inputs (b, *input_shape) to logits (b, classes).

    Dropout follows the hidden fully connected layers: the paper trains with rate 0.5 (section 5, "dropout") and does
    not say after which layers. No module works in-place, because torch.func.vmap does not support that.
    """
    _check(name, pairs, input_shape, dropout, widths)
    channels, hidden_units = widths[:pairs], widths[pairs:]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    before, height, width = input_shape
    for block, after in enumerate(channels):
        for conv in (2 * block + 1, 2 * block + 2):
            layers[f"conv{conv}"] = nn.Conv2d(before, after, kernel_size=3, padding=1)
            layers[f"conv{conv}_relu"] = nn.ReLU()
            before = after
        layers[f"pool{block + 1}"] = nn.MaxPool2d(2)
        height, width = height // 2, width // 2
    layers["flatten"] = nn.Flatten()
    units = math.prod((before, height, width))
    for hidden, after in enumerate(hidden_units, 1):
        layers[f"fc{hidden}"] = nn.Linear(units, after)
        layers[f"fc{hidden}_relu"] = nn.ReLU()
        if dropout > 0:
            layers[f"fc{hidden}_dropout"] = nn.Dropout(dropout)
        units = after
    layers["output"] = nn.Linear(units, classes)
    return nn.Sequential(layers)


def _check(name: str, pairs: int, input_shape: Sequence[int], dropout: float, widths: Sequence[int]) -> None:
    """Raise InputError if pooling does not divide the shape evenly, or if an option is not as `conv2` says."""
    problems = []
    shape, multiple = tuple(input_shape), 2**pairs
    if len(shape) != 3 or any(side < 1 or side % multiple for side in shape[1:]):
        problems.append(
            f"model {name!r}: the data has examples of shape {shape}; it needs images "
            f"(channels, height, width) whose height and width are multiples of {multiple}"
        )
    problems += rate_problems(dropout)
    whole = [isinstance(width, int) and not isinstance(width, bool) and width >= 1 for width in widths]
    if len(whole) != pairs + 2 or not all(whole):
        problems.append(
            f"model.widths = {widths!r}: must be {pairs + 2} whole numbers, each 1 or more: the channels of each pair "
            f"of convolutions of {name}, then the units of its two hidden fully connected layers"
        )
    if problems:
        raise InputError(problems)
