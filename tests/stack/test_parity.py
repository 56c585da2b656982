"""A stack against the same networks trained one by one with torch.optim, in double precision."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from tickets.config import TrainConfig
from tickets.stack import norms

CLOSE = {"rtol": 1e-9, "atol": 1e-11}
RECIPES = {
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01, "warmup_steps": 4},
    "sgd_without_momentum": {"optimizer": "sgd", "schedule": "cosine"},
    "adam": {"optimizer": "adam", "weight_decay": 0.01, "schedule": "step", "milestones": (6, 11)},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
}


def is_the_plain_loop(
    bench, name: str, strategy: str, recipe: TrainConfig, shape: tuple[int, ...], order: int | None = None
) -> None:
    build = getattr(bench, name)
    examples = bench.examples(shape, torch.float64)
    values, masks = bench.networks(build, dtype=torch.float64)
    seeds = bench.seeds(3, order)
    trained = bench.train(build, bench.stack(build, dtype=torch.float64), recipe, examples, strategy, seeds=seeds)
    assert trained.stack.step == recipe.steps
    for index in range(3):
        module, optimizer = bench.plain(build, values[index], masks[index], recipe, examples, seeds[index].order)
        network = trained.stack.network(index)
        assert set(network) == set(module.state_dict())
        for key, value in module.state_dict().items():
            torch.testing.assert_close(network[key], value, **CLOSE)
        state = trained.stack.optimizer_state(index)
        for key, parameter in module.named_parameters():
            expected = {k: v for k, v in optimizer.state[parameter].items() if v is not None}
            assert {k for k in state if key in state[k]} == set(expected)
            for k, value in expected.items():
                torch.testing.assert_close(state[k][key], value, **CLOSE, check_dtype=k != "step")
        module.eval()
        loss = functional.cross_entropy(module(examples.test_inputs), examples.test_labels)
        torch.testing.assert_close(trained.curves.metric("test_loss")[-1, index], loss.detach(), **CLOSE)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("strategy", ["layered", "sparse", "vectorised", "looped"])
def test_a_stack_of_mlps(bench, strategy: str, recipe: str) -> None:
    is_the_plain_loop(bench, "mlp", strategy, bench.recipe(**RECIPES[recipe]), (6,))


@pytest.mark.parametrize("strategy", ["layered", "sparse"])
def test_examples_of_several_dimensions_are_flattened(bench, strategy: str) -> None:
    is_the_plain_loop(bench, "mlp", strategy, bench.recipe(optimizer="sgd"), (2, 3))


@pytest.mark.parametrize("strategy", ["layered", "sparse"])
def test_networks_with_one_data_order(bench, strategy: str) -> None:
    is_the_plain_loop(bench, "mlp", strategy, bench.recipe(optimizer="sgd"), (6,), order=4)


@pytest.mark.parametrize("recipe", ["sgd", "adam"])
@pytest.mark.parametrize("strategy", ["vectorised", "looped"])
def test_a_stack_of_convolutional_networks(bench, strategy: str, recipe: str) -> None:
    is_the_plain_loop(bench, "convnet", strategy, bench.recipe(**RECIPES[recipe]), (1, 4, 4))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("strategy", ["looped", "plain"])
def test_parameters_that_are_first_reached_at_different_steps(bench, strategy: str, recipe: str) -> None:
    begins = bench.stack(bench.latenet).buffers["begins"]
    assert len(begins.unique()) > 1  # for one network before another
    is_the_plain_loop(bench, "latenet", strategy, bench.recipe(**RECIPES[recipe]), (6,))


@pytest.mark.parametrize(("strategy", "few"), [("vectorised", norms.FEW), ("looped", norms.FEW), ("looped", 0)])
def test_a_stack_with_batch_normalisation_has_statistics_network_by_network(
    bench, strategy: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """few: numbers that PyTorch normalises itself."""
    monkeypatch.setattr(norms, "FEW", few)
    recipe = bench.recipe(**RECIPES["sgd"])
    is_the_plain_loop(bench, "normnet", strategy, recipe, (1, 4, 4))
    start = bench.stack(bench.normnet)
    trained = bench.train(bench.normnet, start, recipe, bench.examples((1, 4, 4)), strategy)
    assert trained.stack.buffers["1.num_batches_tracked"].tolist() == [15, 15, 15]
    means = trained.stack.buffers["1.running_mean"]
    assert not torch.equal(means[0], means[1])
    assert start.buffers["1.num_batches_tracked"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("strategy", ["vectorised", "looped"])
def test_a_layer_that_nothing_goes_through_has_a_gradient_of_zero(bench, strategy: str) -> None:
    def build() -> torch.nn.Module:
        module = bench.mlp()
        module[1].register_module("unused", torch.nn.Linear(2, 2))
        return module

    start = bench.stack(build)
    trained = bench.train(build, start, bench.recipe(optimizer="adam"), bench.examples(), strategy)
    assert torch.equal(trained.stack.parameters["1.unused.weight"], start.parameters["1.unused.weight"])
    assert not torch.equal(trained.stack.parameters["1.weight"], start.parameters["1.weight"])
