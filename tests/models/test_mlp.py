from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tickets.errors import InputError
from tickets.models.mlp import lenet_300_100, mlp


def test_the_modules_are_exactly_these() -> None:
    model = mlp((1, 4, 4), 3, [7, 5])
    assert type(model) is nn.Sequential
    assert [type(part) for part in model] == [nn.Flatten, nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    shapes = [tuple(parameter.shape) for parameter in model.parameters()]
    assert shapes == [(7, 16), (7,), (5, 7), (5,), (3, 5), (3,)]
    assert not any(part.inplace for part in model if isinstance(part, nn.ReLU))


def test_the_forward_pass_by_hand() -> None:
    model = mlp((2,), 2, [2])
    with torch.no_grad():
        for parameter, value in zip(
            model.parameters(), ([[1, 0], [0, -1]], [0, 1], [[1, 2], [3, 4]], [10, 20]), strict=True
        ):
            parameter.copy_(torch.tensor(value))
    # hidden: relu(5, 1 - 3) = (5, 0)
    assert model(torch.tensor([[5.0, 3.0]])).tolist() == [[15.0, 35.0]]


def test_no_widths_make_a_linear_classifier() -> None:
    assert [tuple(p.shape) for p in mlp((40,), 10, []).parameters()] == [(10, 40), (10,)]


def test_dropout_stands_after_each_hidden_layer_and_changes_no_name() -> None:
    with_dropout, without = mlp((6,), 3, [5, 4], dropout=0.5), mlp((6,), 3, [5, 4])
    kinds = [nn.Flatten, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert [type(part) for part in with_dropout] == kinds
    assert [part.p for part in with_dropout if isinstance(part, nn.Dropout)] == [0.5, 0.5]
    assert [name for name, _ in with_dropout.named_parameters()] == [name for name, _ in without.named_parameters()]
    assert list(without.state_dict()) == ["1.weight", "1.bias", "3.weight", "3.bias", "5.weight", "5.bias"]


def test_biases_can_be_left_out() -> None:
    model = mlp((6,), 3, [5], bias=False)
    assert list(model.state_dict()) == ["1.weight", "3.weight"]
    assert model(torch.zeros(1, 6)).tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("dropout", [-0.1, 1, 1.5, "0.5", True, float("nan")])
def test_dropout_is_a_probability_below_one(dropout: Any) -> None:
    with pytest.raises(InputError, match=r"model.dropout = .*: must be at least 0 and less than 1"):
        mlp((4,), 2, [3], dropout=dropout)


def test_lenet_has_the_papers_weights() -> None:
    weights = [p for p in lenet_300_100((1, 28, 28), 10).parameters() if p.ndim == 2]
    assert [w.numel() for w in weights] == [235_200, 30_000, 1_000]
    assert sum(w.numel() for w in weights) == 266_200


@pytest.mark.parametrize("widths", [[0], [10, -1], [1.5], [True], "34", ["3"]])
def test_widths_must_be_whole_numbers(widths: Any) -> None:
    with pytest.raises(InputError, match=r"model.widths = .*: must be a list of whole numbers, each 1 or more"):
        mlp((4,), 2, widths)
