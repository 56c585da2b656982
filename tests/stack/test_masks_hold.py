"""A pruned weight is exactly 0.0 after every step, and its optimizer state with it."""

from __future__ import annotations

import functools
import itertools

import pytest
import torch
from made_workloads import execution as execution_of

from tickets.stack.networks import stack_networks
from tickets.stack.stepwise import Stepwise
from tickets.stack.training import train

RECIPES = {
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.05},
    "adam": {"optimizer": "adam", "weight_decay": 0.05},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.5},
}
SHAPES = {"mlp": (6,), "convnet": (1, 4, 4), "normnet": (1, 4, 4)}
MODELS = [("mlp", "layered"), ("convnet", "looped"), ("normnet", "vectorised"), ("normnet", "sparse")]


def assert_zero(tensors, masks) -> None:
    for name, mask in masks.items():
        pruned = tensors[name][~mask]
        assert pruned.numel() > 0
        assert torch.equal(pruned, torch.zeros_like(pruned)), name


class Watched:
    """An execution that looks at the weights before each step, which is after the step before."""

    def __init__(self, inner, masks) -> None:
        self.inner, self.masks, self.steps, self.pushed = inner, masks, 0, False

    def gradients(self, parameters, buffers, x, y, noise) -> None:
        assert_zero(parameters, self.masks)
        self.inner.gradients(parameters, buffers, x, y, noise)
        self.steps += 1
        self.pushed |= any(bool((parameters[name].grad[~mask] != 0).any()) for name, mask in self.masks.items())

    def logits(self, parameters, buffers, x):
        return self.inner.logits(parameters, buffers, x)


def watched(bench, build, start, recipe, examples, strategy, **options):
    seen = Watched(execution_of(strategy, build(), start.masks), start.masks)
    trained = train(
        functools.partial(Stepwise, seen), start, bench.seeds(len(start)), examples, recipe, chunk=4, **options
    )
    assert seen.steps == recipe.steps - start.step
    assert seen.pushed, "the gradient never pushed at a pruned weight, so nothing was tested"
    return trained


@pytest.mark.parametrize("optimizer", RECIPES)
@pytest.mark.parametrize(("model", "strategy"), MODELS)
def test_at_every_step_from_the_start(bench, model: str, strategy: str, optimizer: str) -> None:
    shape = SHAPES[model]
    build, recipe = getattr(bench, model), bench.recipe(**RECIPES[optimizer])
    trained = watched(bench, build, bench.stack(build), recipe, bench.examples(shape), strategy)
    assert_zero(trained.stack.parameters, trained.stack.masks)
    for state in trained.stack.optimizer.values():
        if next(iter(state.values())).ndim > 1:
            assert_zero(state, trained.stack.masks)


@pytest.mark.parametrize("optimizer", RECIPES)
def test_what_is_not_held_is_zero_at_every_step(bench, optimizer: str) -> None:
    seen = []

    def look(shard, step, parameters):
        assert_zero(parameters, start.masks)
        seen.append({name: value.clone() for name, value in parameters.items()})

    start, recipe = bench.stack(bench.mlp), bench.recipe(**RECIPES[optimizer], evaluate_every=1)
    trained = bench.train(bench.mlp, start, recipe, bench.examples(), "sparse", observe=look)
    assert len(seen) == recipe.steps + 1
    assert all((before["1.weight"] != after["1.weight"]).any() for before, after in itertools.pairwise(seen))
    for state in trained.stack.optimizer.values():
        if next(iter(state.values())).ndim > 1:
            assert_zero(state, trained.stack.masks)


@pytest.mark.parametrize("optimizer", RECIPES)
def test_after_a_rewind_to_a_dense_networks_values_and_state(bench, optimizer: str) -> None:
    build, recipe = bench.mlp, bench.recipe(**RECIPES[optimizer])
    values, masks = bench.networks(build)
    names = [name for name, _ in build().named_parameters()]
    everything = [{name: torch.ones_like(mask) for name, mask in each.items()} for each in masks]
    dense = bench.train(build, stack_networks(values, everything, names), recipe, bench.examples(), keep_step=6).kept
    states = [dense.optimizer_state(index) for index in range(3)]
    moments = {"sgd": ["momentum_buffer"]}.get(optimizer, ["exp_avg", "exp_avg_sq"])
    for state in moments:
        assert (states[0][state]["1.weight"][~masks[0]["1.weight"]] != 0).any()
    rewound = stack_networks([dense.network(index) for index in range(3)], masks, names, optimizer=states, step=6)
    for state in moments:
        assert_zero(rewound.optimizer[state], rewound.masks)
        for name, mask in rewound.masks.items():  # what is not pruned is as it was
            assert torch.equal(rewound.optimizer[state][name][mask], dense.optimizer[state][name][mask])
            assert torch.equal(rewound.parameters[name][mask], dense.parameters[name][mask])
    trained = watched(bench, build, rewound, recipe, bench.examples(), "layered")
    assert_zero(trained.stack.parameters, trained.stack.masks)
    for state in moments:
        assert_zero(trained.stack.optimizer[state], trained.stack.masks)


def test_the_masks_themselves_stay(bench) -> None:
    start = bench.stack(bench.mlp)
    trained = bench.train(bench.mlp, start, bench.recipe(), bench.examples())
    assert all(torch.equal(trained.stack.masks[name], mask) for name, mask in start.masks.items())
