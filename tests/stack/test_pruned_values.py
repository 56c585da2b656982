"""Pruned weights that keep their initial values: bit for bit after every step, in every strategy that takes them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math

import pytest
import torch
from made_workloads import execution, workload
from torch import nn
from torch.nn import functional

from tickets.stack import captured
from tickets.stack.early_stop import some_of
from tickets.stack.likeness import perturbed
from tickets.stack.networks import Stack, hold_pruned, join, stack_networks
from tickets.stack.order import epoch_order
from tickets.stack.stepwise import Stepwise
from tickets.stack.strategies import choose
from tickets.stack.training import train

RECIPES = {
    "momentum": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.05},
    "sgd": {"optimizer": "sgd", "weight_decay": 0.05, "schedule": "cosine"},
    "adam": {"optimizer": "adam", "weight_decay": 0.05},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.5},
}
SHAPES = {"mlp": (6,), "dropnet": (6,), "convnet": (1, 4, 4), "normnet": (1, 4, 4)}
CASES = [
    ("mlp", "layered"), ("mlp", "vectorised"), ("mlp", "looped"), ("mlp", "plain"), ("dropnet", "layered"),
    ("convnet", "looped"), ("convnet", "plain"), ("normnet", "vectorised"), ("normnet", "looped"), ("normnet", "plain"),
]  # fmt: skip


def frozen_stack(bench, build, count: int = 3) -> tuple[Stack, list[dict[str, torch.Tensor]]]:
    """Networks whose survivors are not theta0, and theta0 of each."""
    theta0, masks = bench.networks(build, count)
    values = [{name: value + 0.1 if value.is_floating_point() else value for name, value in one.items()}
              for one in theta0]  # fmt: skip
    return stack_networks(values, masks, names_of(build), pruned_values=theta0), theta0


def names_of(build) -> list[str]:
    return [name for name, _ in build().named_parameters()]


def assert_held(parameters, masks, theta0) -> None:
    """Bit for bit: -0.0 is another number than 0.0 here."""
    for name, mask in masks.items():
        pruned = ~mask
        assert pruned.any()
        wanted = torch.stack([one[name] for one in theta0])
        assert torch.equal(parameters[name][pruned].view(torch.int32), wanted[pruned].view(torch.int32)), name
        assert wanted[pruned].abs().min() > 0


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(("model", "strategy"), CASES)
def test_they_are_theta0_at_every_step(bench, model: str, strategy: str, recipe: str) -> None:
    build, examples = getattr(bench, model), bench.examples(SHAPES[model])
    start, theta0 = frozen_stack(bench, build)
    masks, seen = start.masks, []

    def look(shard, step, parameters):
        assert_held(parameters, masks, theta0)
        seen.append({name: parameters[name].clone() for name in masks})

    how = bench.recipe(**RECIPES[recipe], evaluate_every=1)
    done = bench.train(build, start, how, examples, strategy, observe=look)
    assert len(seen) == how.steps + 1
    for before, after in itertools.pairwise(seen):
        assert all((before[name] != after[name])[masks[name]].any() for name in masks), "nothing was trained"
    assert_held(done.stack.parameters, masks, theta0)
    for name, values in start.pruned_values.items():
        assert torch.equal(done.stack.pruned_values[name], values)


@pytest.mark.parametrize("recipe", ["momentum", "adam"])
@pytest.mark.parametrize(("model", "strategy"), CASES)
def test_those_held_at_0_among_others_held_at_theta0_are_0_at_every_step(bench, model, strategy, recipe) -> None:
    build, examples = getattr(bench, model), bench.examples(SHAPES[model])
    theta0, masks = bench.networks(build, 2)
    held = [{name: value * (torch.arange(value.numel()) % 2).reshape(value.shape) for name, value in one.items()}
            for one in theta0]  # fmt: skip
    start, seen = stack_networks(theta0, masks, names_of(build), pruned_values=[held[0], theta0[1]]), []

    def look(shard, step, parameters):
        for name, mask in start.masks.items():
            for network, wanted in enumerate((held[0], theta0[1])):
                pruned = ~mask[network]
                found = parameters[name][network][pruned]
                assert torch.equal(found.view(torch.int32), wanted[name][pruned].view(torch.int32)), (step, name)
                seen.append(float((found == 0).float().mean()))

    bench.train(
        build, start, bench.recipe(**RECIPES[recipe], evaluate_every=1, steps=4), examples, strategy, observe=look
    )
    assert 0 < max(seen[::2]) < 1
    assert max(seen[1::2]) == 0


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(("model", "strategy"), CASES)
def test_they_train_as_a_plain_loop_that_puts_them_back(bench, model: str, strategy: str, recipe: str) -> None:
    if model == "dropnet":
        pytest.skip("its noise is each strategy's own")
    build, examples = getattr(bench, model), bench.examples(SHAPES[model])
    start, theta0 = frozen_stack(bench, build)
    how = bench.recipe(**RECIPES[recipe], steps=5)
    done = bench.train(build, start, how, examples, strategy).stack.network(1)
    wanted = by_hand(build, start, theta0, how, examples, index=1, order=bench.seeds(3)[1].order)
    for name, value in wanted.items():
        torch.testing.assert_close(done[name], value, rtol=1e-4, atol=1e-5)


def by_hand(build, start, theta0, recipe, examples, index: int, order: int) -> dict[str, torch.Tensor]:
    """One network by torch.optim; its pruned weights are assigned after each step."""
    module = build()
    module.load_state_dict(start.network(index))
    named = dict(module.named_parameters())
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    more = {"momentum": recipe.momentum} if recipe.optimizer == "sgd" else {}
    optimizer = kinds[recipe.optimizer](
        named.values(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, **more
    )
    for step in range(recipe.steps):
        batch = epoch_order(order, 0, len(examples.train_labels))[step * 8 : (step + 1) * 8]
        if recipe.schedule == "cosine":
            optimizer.param_groups[0]["lr"] = recipe.learning_rate * (1 + math.cos(math.pi * step / recipe.steps)) / 2
        optimizer.zero_grad()
        functional.cross_entropy(module(examples.train_inputs[batch]), examples.train_labels[batch]).backward()
        optimizer.step()
        with torch.no_grad():
            for name, mask in start.masks.items():
                named[name][~mask[index]] = theta0[index][name][~mask[index]]
    return {name: value.detach() for name, value in named.items()}


def test_sparse_refuses_them(bench) -> None:
    start, _ = frozen_stack(bench, bench.mlp)
    with pytest.raises(ValueError, match="`sparse` computes with the surviving weights alone"):
        bench.train(bench.mlp, start, bench.recipe(), bench.examples(), "sparse")


def test_they_are_never_given_to_sparse(bench, monkeypatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    for build, shape in ((bench.mlp, (6,)), (bench.convnet, (1, 4, 4)), (bench.normnet, (1, 4, 4))):
        kept = dataclasses.replace(workload(build(), shape), pruned="initial")
        choice = choose(kept)
        assert (choice.strategy != "sparse", choice.takes_over.get("sparse", 0.0)) == (True, 0.0)
        zero = choose(workload(build(), shape))
        assert zero.strategy == "sparse" or zero.takes_over.get("sparse", 0.0) > 0
    with pytest.raises(ValueError, match="pruned weights that keep their initial values"):
        choose(dataclasses.replace(workload(bench.mlp()), pruned="initial"), "sparse")


def test_shards_lanes_and_rejoining_keep_them(bench) -> None:
    start, theta0 = frozen_stack(bench, bench.mlp, 4)
    whole = bench.train(bench.mlp, start, bench.recipe(), bench.examples(), "layered")
    shards = bench.train(bench.mlp, start, bench.recipe(), bench.examples(), "layered", lanes=2, networks_at_once=2)
    assert_held(shards.stack.parameters, start.masks, theta0)
    for name, value in whole.stack.parameters.items():
        torch.testing.assert_close(shards.stack.parameters[name], value)
    assert_held(join([start[:2], start[2:]]).pruned_values, start.masks, theta0)


def test_the_early_stop_on_a_few_examples_goes_on_from_them(bench) -> None:
    start, theta0 = frozen_stack(bench, bench.mlp)
    examples = bench.examples()
    assert some_of(examples, 4) is not None
    recipe = bench.recipe(**RECIPES["adamw"], evaluate_on=4, learning_rate=0.5)
    done = bench.train(bench.mlp, start, recipe, examples, "layered")
    assert done.curves.early_score.isfinite().all()
    assert_held(done.stack.parameters, start.masks, theta0)


@pytest.mark.parametrize("step", [4, 10])
def test_a_training_that_is_taken_up_again_keeps_them(bench, step: int) -> None:
    start, theta0 = frozen_stack(bench, bench.mlp)
    recipe = bench.recipe(**RECIPES["momentum"])
    whole = bench.train(bench.mlp, start, recipe, bench.examples(), "layered", keep_step=step)
    assert_held(whole.kept.parameters, start.masks, theta0)
    rest = bench.train(bench.mlp, whole.kept, recipe, bench.examples(), "layered")
    for name, value in whole.stack.parameters.items():
        assert torch.equal(rest.stack.parameters[name], value)


def test_perturbing_leaves_them(bench) -> None:
    start, theta0 = frozen_stack(bench, bench.mlp)
    other = perturbed(start, "float32", 1)
    assert_held(other.parameters, start.masks, theta0)
    assert (other.parameters["1.weight"] != start.parameters["1.weight"])[start.masks["1.weight"]].any()


def test_hold_pruned_by_hand() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0, float("nan"), 4.0]))
    hold_pruned(
        {"w": weight, "b": weight},
        {"w": torch.tensor([True, False, False, True])},
        {"w": torch.tensor([9.0, -0.0, 7.0, 6.0])},
    )
    assert weight.tolist() == [1.0, 0.0, 7.0, 4.0]
    assert torch.signbit(weight[1])
    assert weight.requires_grad


def test_the_stack_takes_survivors_from_the_values_and_the_rest_from_theta0() -> None:
    mask = torch.tensor([True, False])
    state = {"exp_avg": {"w": torch.tensor([5.0, 6.0])}}
    stack = stack_networks(
        [{"w": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0])}], [{"w": mask}], ["w", "b"],
        optimizer=[state], pruned_values=[{"w": torch.tensor([7.0, 8.0]), "b": torch.tensor([9.0])}],
    )  # fmt: skip
    assert stack.parameters["w"].tolist() == [[1.0, 8.0]]
    assert stack.parameters["b"].tolist() == [[3.0]]
    assert stack.optimizer["exp_avg"]["w"].tolist() == [[5.0, 0.0]]
    assert stack.pruned_values.keys() == {"w"}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recorded_step_holds_them_too(bench, monkeypatch, recipe: str) -> None:
    """Without a GPU: the recording replays by doing the same in Python."""
    monkeypatch.setattr(captured, "beside", lambda step, device: step())
    monkeypatch.setattr(captured, "record", lambda step, device: step)
    start, theta0 = frozen_stack(bench, bench.mlp)
    recipe, examples = bench.recipe(**RECIPES[recipe]), bench.examples()
    ends = []
    for kind in (captured.Captured, Stepwise):
        make = functools.partial(kind, execution("layered", bench.mlp()))
        ends.append(train(make, start, bench.seeds(3), examples, recipe, chunk=4).stack.parameters)
    assert_held(ends[0], start.masks, theta0)
    for name, value in ends[1].items():
        torch.testing.assert_close(ends[0][name], value, rtol=1e-5, atol=1e-7)
