from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tickets.errors import InputError
from tickets.models.conv import conv2, conv4, conv6

CIFAR = (3, 32, 32)


@pytest.mark.parametrize(
    ("factory", "conv_weights", "weights", "channels"),
    [
        (conv2, 38_592, 4_300_992, [64, 64]),
        (conv4, 259_776, 2_425_024, [64, 64, 128, 128]),
        (conv6, 1_144_512, 2_261_184, [64, 64, 128, 128, 256, 256]),
    ],
)
def test_the_layers_and_their_weights(
    factory: Callable[..., nn.Sequential], conv_weights: int, weights: int, channels: list[int]
) -> None:
    model = factory(CIFAR, 10)
    convolutions = [part for part in model if isinstance(part, nn.Conv2d)]
    linear = [part for part in model if isinstance(part, nn.Linear)]
    assert [part.out_channels for part in convolutions] == channels
    assert [part.out_features for part in linear] == [256, 256, 10]
    assert sum(part.weight.numel() for part in convolutions) == conv_weights
    assert conv_weights + sum(part.weight.numel() for part in linear) == weights
    assert model(torch.zeros(2, *CIFAR)).shape == (2, 10)
    kinds = [type(part).__name__ for part in model]
    block = ["Conv2d", "ReLU", "Conv2d", "ReLU", "MaxPool2d"]
    assert kinds == block * (len(channels) // 2) + ["Flatten", "Linear", "ReLU", "Linear", "ReLU", "Linear"]


def test_parameters_have_telling_names() -> None:
    names = [name for name, _ in conv4(CIFAR, 10).named_parameters() if name.endswith("weight")]
    assert names == [f"{layer}.weight" for layer in ("conv1", "conv2", "conv3", "conv4", "fc1", "fc2", "output")]


def test_other_images_that_fit() -> None:
    assert conv4((1, 28, 28), 5)(torch.zeros(2, 1, 28, 28)).shape == (2, 5)
    assert conv6((3, 16, 24), 5)(torch.zeros(2, 3, 16, 24)).shape == (2, 5)


def test_dropout_stands_after_each_hidden_layer_and_changes_no_name() -> None:
    with_dropout, without = conv2(CIFAR, 10, dropout=0.5), conv2(CIFAR, 10)
    kinds = [type(part).__name__ for part in with_dropout][6:]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert [part.p for part in with_dropout if isinstance(part, nn.Dropout)] == [0.5, 0.5]
    assert [name for name, _ in with_dropout.named_parameters()] == [name for name, _ in without.named_parameters()]


@pytest.mark.parametrize(
    ("factory", "shape", "multiple"),
    [
        (conv2, (1, 5, 4), 2),
        (conv4, (3, 32, 30), 4),
        (conv6, (1, 28, 28), 8),
        (conv2, (40,), 2),
        (conv2, (3, 0, 2), 2),
    ],
)
def test_images_must_divide(factory: Callable[..., nn.Module], shape: tuple[int, ...], multiple: int) -> None:
    with pytest.raises(InputError) as caught:
        factory(shape, 10)
    assert str(caught.value) == (
        f"model {factory.__name__!r}: the data has examples of shape {shape}; it needs images "
        f"(channels, height, width) whose height and width are multiples of {multiple}"
    )


@pytest.mark.parametrize("dropout", [-0.1, 1, 1.5, "0.5", True, float("nan")])
def test_dropout_is_a_probability_below_one(dropout: Any) -> None:
    with pytest.raises(InputError, match=r"model.dropout = .*: must be at least 0 and less than 1"):
        conv2(CIFAR, 10, dropout=dropout)
