"""Training that starts again from a kept step gives the bits of the training that never stopped."""

from __future__ import annotations

import copy

import pytest
import torch

from tickets.data.augmentation import flip_and_crop
from tickets.stack.networks import Stack, stack_networks

RECIPES = {
    "adam": {"optimizer": "adam", "weight_decay": 0.01},
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "schedule": "step", "milestones": (4, 9), "warmup_steps": 8},
    "adamw": {"optimizer": "adamw", "schedule": "cosine", "warmup_steps": 3},
}
MODELS = {
    "layered": ("mlp", (6,)),
    "sparse": ("mlp", (6,)),
    "vectorised": ("normnet", (1, 4, 4)),
    "looped": ("normnet", (1, 4, 4)),
}


def tensors(stack: Stack) -> dict[str, torch.Tensor]:
    states = {f"{state} {name}": value for state, all_ in stack.optimizer.items() for name, value in all_.items()}
    masks = {f"mask {name}": value for name, value in stack.masks.items()}
    return {**stack.parameters, **stack.buffers, **states, **masks}


def assert_same_bits(one: Stack, other: Stack) -> None:
    assert tensors(one).keys() == tensors(other).keys()
    for name, tensor in tensors(one).items():
        assert torch.equal(tensors(other)[name], tensor), name


def storages(stack: Stack) -> set[int]:
    return {tensor.untyped_storage().data_ptr() for tensor in tensors(stack).values()}


@pytest.mark.parametrize("optimizer", RECIPES)
@pytest.mark.parametrize("strategy", MODELS)
def test_from_the_kept_step_on_everything_is_bit_for_bit_the_same(bench, strategy: str, optimizer: str) -> None:
    model, shape = MODELS[strategy]
    build, examples = getattr(bench, model), bench.examples(shape)
    recipe = bench.recipe(**RECIPES[optimizer])
    whole = bench.train(build, bench.stack(build), recipe, examples, strategy, keep_step=7)
    assert whole.kept.step == 7
    again = bench.train(build, whole.kept, recipe, examples, strategy)
    assert_same_bits(whole.stack, again.stack)
    assert again.curves.steps.tolist() == [7, 10, 15]
    assert whole.curves.steps.tolist() == [0, 5, 10, 15]
    assert torch.equal(again.curves.values[1:], whole.curves.values[2:])


def test_what_is_kept_is_what_stood_before_that_step(bench) -> None:
    start, recipe = bench.stack(bench.mlp), bench.recipe(optimizer="sgd")
    first = bench.train(bench.mlp, start, recipe, bench.examples(), keep_step=0).kept
    assert_same_bits(first, start)
    # With a constant learning rate the first 7 steps of 15 are all the steps of 7.
    seven = bench.train(bench.mlp, start, bench.recipe(optimizer="sgd", steps=7), bench.examples())
    kept = bench.train(bench.mlp, start, recipe, bench.examples(), keep_step=7).kept
    assert_same_bits(kept, seven.stack)
    last = bench.train(bench.mlp, start, recipe, bench.examples(), keep_step=15)
    assert_same_bits(last.kept, last.stack)


def test_nothing_is_kept_that_was_not_asked_for(bench) -> None:
    assert bench.train(bench.mlp, bench.stack(bench.mlp), bench.recipe(), bench.examples()).kept is None


def test_one_networks_values_and_state_make_the_same_stack_again(bench) -> None:
    build, recipe = bench.normnet, bench.recipe(optimizer="adam")
    whole = bench.train(build, bench.stack(build), recipe, bench.examples((1, 4, 4)), keep_step=6)
    masks = [{name: mask[index] for name, mask in whole.kept.masks.items()} for index in range(3)]
    rebuilt = stack_networks(
        [whole.kept.network(index) for index in range(3)],
        masks,
        [name for name, _ in build().named_parameters()],
        optimizer=[whole.kept.optimizer_state(index) for index in range(3)],
        step=6,
    )
    assert_same_bits(rebuilt, whole.kept)
    assert rebuilt.buffers["1.num_batches_tracked"].tolist() == [6, 6, 6]
    assert rebuilt.optimizer["step"]["0.weight"].tolist() == [6, 6, 6]
    again = bench.train(build, rebuilt, recipe, bench.examples((1, 4, 4)))
    assert_same_bits(again.stack, whole.stack)


@pytest.mark.parametrize("strategy", MODELS)
@pytest.mark.parametrize("options", [{}, {"lanes": 2}, {"networks_at_once": 1}], ids=["whole", "lanes", "turns"])
def test_nothing_that_goes_in_or_comes_out_is_shared(bench, strategy: str, options) -> None:
    model, shape = MODELS[strategy]
    build, examples = getattr(bench, model), bench.examples(shape)
    recipe = bench.recipe(optimizer="adam")
    start = bench.train(build, bench.stack(build), recipe, examples, strategy, keep_step=3).kept
    before = copy.deepcopy(tensors(start))
    trained = bench.train(build, start, recipe, examples, strategy, keep_step=9, **options)
    assert all(torch.equal(tensors(start)[name], tensor) for name, tensor in before.items())
    assert not any(tensor.requires_grad for tensor in tensors(start).values())
    assert not storages(start) & storages(trained.stack)
    assert not storages(start) & storages(trained.kept)
    assert not storages(trained.kept) & storages(trained.stack)
    kept = copy.deepcopy(tensors(trained.kept))
    with torch.no_grad():
        for tensor in tensors(trained.stack).values():
            tensor.zero_()
    assert all(torch.equal(tensors(start)[name], tensor) for name, tensor in before.items())
    assert all(torch.equal(tensors(trained.kept)[name], tensor) for name, tensor in kept.items())


def test_what_a_stack_is_made_of_is_not_touched(bench) -> None:
    values, masks = bench.networks(bench.mlp)
    before = copy.deepcopy(values)
    stack = stack_networks(values, masks, list(values[0]))
    for tensor in [*stack.parameters.values(), *stack.masks.values()]:
        tensor.zero_()
    for index, network in enumerate(values):
        assert all(torch.equal(before[index][name], value) for name, value in network.items())
        assert all(mask.any() for mask in masks[index].values())


def test_what_is_taken_out_of_a_stack_is_a_copy(bench) -> None:
    stack = bench.train(bench.normnet, bench.stack(bench.normnet), bench.recipe(), bench.examples((1, 4, 4))).stack
    before = {name: tensor.clone() for name, tensor in tensors(stack).items()}
    state = [tensor for kind in stack.optimizer_state(1).values() for tensor in kind.values()]
    for tensor in [*stack.network(1).values(), *state]:
        tensor.zero_()
    assert all(torch.equal(tensors(stack)[name], tensor) for name, tensor in before.items())


def test_with_augmented_examples_too(bench) -> None:
    examples = bench.examples((1, 4, 4), augment=flip_and_crop)
    recipe = bench.recipe(optimizer="sgd")
    plain = bench.train(bench.convnet, bench.stack(bench.convnet), recipe, bench.examples((1, 4, 4)))
    whole = bench.train(bench.convnet, bench.stack(bench.convnet), recipe, examples, keep_step=6)
    again = bench.train(bench.convnet, whole.kept, recipe, examples)
    assert_same_bits(whole.stack, again.stack)
    assert not torch.equal(whole.stack.parameters["0.weight"], plain.stack.parameters["0.weight"])
