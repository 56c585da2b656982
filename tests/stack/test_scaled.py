"""Chains with constant factors, and the squared error to one-hot targets, whose gradient `layered` has written out."""

from __future__ import annotations

import math

import pytest
import torch
from made_workloads import workload
from torch import nn
from torch.nn import functional

from tickets.errors import InputError
from tickets.models.mlp import mlp
from tickets.models.scale import Scale
from tickets.stack.chain import chain_of
from tickets.stack.strategies import choose

CLOSE = {"rtol": 1e-9, "atol": 1e-11}


def scaled() -> nn.Sequential:
    return mlp((6,), 3, (7, 5), parametrisation="ntk")


def negative() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 7), Scale(-1.5), nn.ReLU(), nn.Linear(7, 3), Scale(0.3))


def plain() -> nn.Sequential:
    return mlp((6,), 3, (7, 5))


def one_hot(outputs, labels):
    return functional.mse_loss(outputs, torch.eye(3, dtype=outputs.dtype)[labels])


LOSSES = {"cross_entropy": functional.cross_entropy, "mse_one_hot": one_hot}
RECIPES = {"sgd": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01}, "adam": {"optimizer": "adam"}}


@pytest.mark.parametrize("optimizer", RECIPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("build", [scaled, negative, plain])
@pytest.mark.parametrize("strategy", ["layered", "vectorised", "looped"])
def test_a_stack_is_the_plain_loop(bench, strategy: str, build, loss: str, optimizer: str) -> None:
    recipe, examples = bench.recipe(loss=loss, **RECIPES[optimizer]), bench.examples((6,), torch.float64)
    values, masks = bench.networks(build, dtype=torch.float64)
    start, seeds = bench.stack(build, dtype=torch.float64), bench.seeds(3)
    trained = bench.train(build, start, recipe, examples, strategy, seeds=seeds)
    for index in range(3):
        network, _ = bench.plain(build, values[index], masks[index], recipe, examples, seeds[index].order, LOSSES[loss])
        for name, value in network.state_dict().items():
            torch.testing.assert_close(trained.stack.network(index)[name], value, **CLOSE)


def test_such_a_chain_is_layered_and_not_for_the_compiled_kernels(bench) -> None:
    chain = chain_of(scaled(), (6,))
    assert (chain.linear, chain.complete, chain.rectified) == (True, True, False)
    assert [[type(layer) for layer in link.between] for link in chain.links] == [[Scale, nn.ReLU]] * 2 + [[Scale]]
    assert choose(workload(scaled(), recipe=bench.recipe(loss="mse_one_hot"))).strategy == "layered"
    last = nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 3), Scale(0.3))
    assert not chain_of(last, (6,)).rectified  # hidden layers alone would be
    # A factor after ReLU is not what is written out.
    other = nn.Sequential(nn.Linear(6, 7), nn.ReLU(), Scale(2.0), nn.Linear(7, 3))
    with pytest.raises(InputError, match=r"must be an nn.Sequential of Flatten, Linear, ReLU and Dropout"):
        choose(workload(other, recipe=bench.recipe()), "layered")


def test_the_sparse_kernels_refuse_the_squared_error(bench) -> None:
    with pytest.raises(InputError, match=r"its gradient is that of train.loss = 'cross_entropy'"):
        choose(workload(plain(), recipe=bench.recipe(loss="mse_one_hot")), "sparse")


def test_the_factors_by_hand() -> None:
    module = mlp((8,), 1, (2,), bias=False, parametrisation="ntk")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1.0)
    # 8 ones: 8 sqrt(2 / 8) = 4 in each of two units; (4 + 4) sqrt(1 / 2).
    assert float(module(torch.ones(1, 8)).detach()) == pytest.approx(8 * math.sqrt(0.5))
    assert [repr(layer) for layer in module if isinstance(layer, Scale)] == ["Scale(0.5)", "Scale(0.707107)"]


def test_another_parametrisation_is_refused() -> None:
    with pytest.raises(InputError, match=r"model.parametrisation = 'NTK': must be one of standard, ntk"):
        mlp((8,), 2, parametrisation="NTK")
