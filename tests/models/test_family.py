"""Hidden widths scaled by one common factor: exact, and of the families of the catalogue alone."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from tickets.config import Run, parse_run
from tickets.errors import InputError
from tickets.models.conv import conv2
from tickets.models.family import Family, scaled_widths


def chain_weights(inputs: int, classes: int) -> Callable[[tuple[int, ...]], int]:
    """The weights of a fully connected network, from its hidden widths."""
    return lambda widths: sum(a * b for a, b in zip((inputs, *widths), (*widths, classes), strict=True))


def family(model: Any, shape: tuple[int, ...] = (6,), **prune: Any) -> Family:
    return Family(run_of(model, **prune), shape, 3)


def run_of(model: Any, **prune: Any) -> Run:
    return parse_run({"name": "x", "data": "digits", "model": model, "prune": prune})


@pytest.mark.parametrize(
    ("most", "widths"),
    # Of 3 inputs, widths (4, 2) and 2 classes: 3a + ab + 2b weights. The factors 1/4, 1/2, 3/4 and 1 change widths.
    [(5, None), (6, (1, 1)), (9, (1, 1)), (10, (2, 1)), (13, (2, 1)), (14, (3, 1)), (23, (3, 1)), (24, (4, 2))],
)
def test_the_widths_worked_out_by_hand(most: int, widths: tuple[int, ...] | None) -> None:
    assert scaled_widths((4, 2), chain_weights(3, 2), most) == widths


def test_the_widths_are_never_more_than_the_full_ones() -> None:
    assert scaled_widths((4, 2), chain_weights(3, 2), 10**9) == (4, 2)


def test_no_other_factor_fits_more() -> None:
    """Against every factor that is a multiple of 1 / the least common multiple of the widths."""
    chance = random.Random(0)
    for _ in range(25):
        full = tuple(chance.randint(1, 8) for _ in range(chance.randint(1, 3)))
        weights = chain_weights(chance.randint(1, 9), chance.randint(1, 9))
        parts = math.lcm(*full)
        scaled = [tuple(max(1, part * width // parts) for width in full) for part in range(parts + 1)]
        counts = [weights(widths) for widths in scaled]
        for most in range(weights(full) + 2):
            fitting = [widths for widths, count in zip(scaled, counts, strict=True) if count <= most]
            assert scaled_widths(full, weights, most) == (fitting[-1] if fitting else None)


def test_lenet_300_100_at_a_fifth_of_its_weights() -> None:
    """784a + ab + 10b <= 53,240: a = 64 at c = 64/300, b = floor(100 c) = 21; 65-21 has 52,535, 66-22 has 53,416."""
    found = Family(run_of("lenet_300_100"), (1, 28, 28), 10)
    assert found.weights((300, 100)) == 266_200
    assert found.at_most(53_240) == (65, 21)
    assert found.weights((65, 21)) == 784 * 65 + 65 * 21 + 21 * 10 == 52_535
    assert found.at_most(53_416) == (66, 22)
    assert found.table((65, 21)) == {"name": "mlp", "init": "glorot_normal", "widths": [65, 21]}


def test_excluded_weights_are_not_counted() -> None:
    assert family({"name": "mlp", "widths": [5, 4]}).weights((2, 3)) == 6 * 2 + 2 * 3 + 3 * 3
    assert family({"name": "mlp", "widths": [5, 4]}, exclude=["1.weight"]).weights((2, 3)) == 2 * 3 + 3 * 3


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_channels_and_fully_connected_widths_scale_together(dropout: float) -> None:
    small = family({"name": "conv2", "dropout": dropout}, (1, 4, 4))
    assert small.widths == (64, 256, 256)
    assert small.weights((2, 8, 8)) == 9 * 2 + 9 * 2 * 2 + 2 * 2 * 2 * 8 + 8 * 8 + 8 * 3
    assert small.at_most(small.weights((2, 8, 8))) == (2, 8, 8)  # the factor 1/32
    network = small.factory((2, 8, 8))()
    assert [part.out_channels for part in network if isinstance(part, nn.Conv2d)] == [2, 2]
    assert [part.out_features for part in network if isinstance(part, nn.Linear)] == [8, 8, 3]
    assert [part.p for part in network if isinstance(part, nn.Dropout)] == [dropout] * (2 if dropout else 0)


@pytest.mark.parametrize("widths", [(64, 256), (64, 256, 256, 1), (0, 1, 1), (1.5, 1, 1), (True, 1, 1)])
def test_convolutions_have_as_many_widths_as_kinds_of_layers(widths: Any) -> None:
    with pytest.raises(InputError, match=r"^model.widths = .*: must be 3 whole numbers, each 1 or more: the channels"):
        conv2((1, 4, 4), 3, widths=widths)


@pytest.mark.parametrize("model", ["resnet20", "my.nets:wide"])
def test_other_models_are_refused(model: str) -> None:
    with pytest.raises(
        InputError,
        match=rf"^model = '{model}': arm small_dense scales the hidden widths of a model, and of this one they are not "
        r"known \(models with known widths: mlp, lenet_300_100, conv2, conv4, conv6\); leave small_dense out, ",
    ):
        family(model)


def test_a_model_without_a_hidden_layer_is_refused() -> None:
    with pytest.raises(InputError, match=r"^model.widths = \[\]: .* has no hidden layer; give it one"):
        family({"name": "mlp", "widths": []})
