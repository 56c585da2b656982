"""Which networks have hidden layers whose units can be compared, and which layers these are."""

from __future__ import annotations

import pytest
from made_workloads import hidden_of
from torch import nn

from tickets.models.mlp import mlp
from tickets.stack.chain import chain_of
from tickets.stack.hidden import hidden_layers


def test_the_hidden_layers_of_a_chain() -> None:
    first, second = hidden_of(mlp((6,), 4, [7, 5], dropout=0.5))
    assert (first.name, first.width, first.weight, first.bias, first.outgoing) == (
        "1", 7, "1.weight", "1.bias", "3.weight",
    )  # fmt: skip
    assert (second.name, second.width, second.outgoing) == ("3", 5, "5.weight")
    assert [type(layer) for layer in first.between] == [nn.ReLU, nn.Dropout]
    assert not first.between.training, "distances are measured without dropout"
    assert hidden_of(mlp((6,), 4, [])) == ()
    (bare,) = hidden_of(nn.Sequential(nn.Linear(3, 2, bias=False), nn.Linear(2, 2)))
    assert bare.bias is None


def test_frozen_layers_are_hidden_layers_too() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    module[0].requires_grad_(False)
    assert [layer.width for layer in hidden_of(module)] == [4]


def shared() -> nn.Module:
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.ReLU(), layer)


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(3, 2),
        nn.Sequential(),
        nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(4, 2)),
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)),
        nn.Sequential(nn.Linear(3, 4), nn.ReLU()),
        nn.Sequential(nn.Linear(3, 4), nn.Flatten(0), nn.Linear(4, 2)),
        shared(),
    ],
)
def test_other_models_have_none(module: nn.Module) -> None:
    assert hidden_layers(chain_of(module, (3,))) is None


def test_a_chain_of_convolutions_has_none() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    assert chain_of(module, (1, 4, 4)) is not None
    assert hidden_layers(chain_of(module, (1, 4, 4))) is None
