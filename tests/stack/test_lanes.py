"""Shards of a stack side by side in threads: the same results, and one failure stops all."""

from __future__ import annotations

import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tickets.stack.training import shards_of

MODELS = {
    "layered": ("mlp", (6,)),
    "sparse": ("mlp", (6,)),
    "vectorised": ("normnet", (1, 4, 4)),
    "looped": ("convnet", (1, 4, 4)),
}


def same(one, other, **tolerance) -> None:
    for kind in ("parameters", "buffers"):
        for name, tensor in getattr(one.stack, kind).items():
            torch.testing.assert_close(getattr(other.stack, kind)[name], tensor, **tolerance)
    for state, tensors in one.stack.optimizer.items():
        for name, tensor in tensors.items():
            torch.testing.assert_close(other.stack.optimizer[state][name], tensor, **tolerance)
    for name, mask in one.stack.masks.items():
        assert torch.equal(other.stack.masks[name], mask)
    assert torch.equal(other.curves.steps, one.curves.steps)
    torch.testing.assert_close(other.curves.values, one.curves.values, **tolerance)


EXACTLY = {"rtol": 0, "atol": 0}


@pytest.mark.parametrize("strategy", MODELS)
def test_lanes_and_turns_change_the_last_bits_at_most(bench, strategy: str) -> None:
    model, shape = MODELS[strategy]
    build = getattr(bench, model)
    start = bench.stack(build, 5, dtype=torch.float64)
    examples = bench.examples(shape, torch.float64)
    recipe = bench.recipe(optimizer="sgd", momentum=0.9)
    whole = bench.train(build, start, recipe, examples, strategy)
    for lanes, at_once in [(2, None), (3, None), (1, 1), (1, 2), (2, 2), (3, 100), (9, 100)]:
        options = {"lanes": lanes, "networks_at_once": at_once, "keep_step": 7}
        shards = bench.train(build, start, recipe, examples, strategy, **options)
        same(whole, shards, rtol=1e-9, atol=1e-11)
        assert len(shards.kept) == 5
        assert shards.kept.step == 7


@pytest.mark.parametrize("strategy", MODELS)
def test_shards_of_the_same_sizes_give_the_same_bits(bench, strategy: str) -> None:
    model, shape = MODELS[strategy]
    build = getattr(bench, model)
    start, examples, recipe = bench.stack(build, 4), bench.examples(shape), bench.recipe()
    side_by_side = bench.train(build, start, recipe, examples, strategy, lanes=2)
    in_turns = bench.train(build, start, recipe, examples, strategy, lanes=1, networks_at_once=2)
    same(side_by_side, in_turns, **EXACTLY)
    again = bench.train(build, start, recipe, examples, strategy, lanes=2, networks_at_once=100)
    same(side_by_side, again, **EXACTLY)


def test_a_sparse_network_has_its_bits_whoever_else_is_in_the_stack(bench) -> None:
    start, seeds, recipe = bench.stack(bench.mlp, 5), bench.seeds(5), bench.recipe(evaluate_every=4)
    whole = bench.train(bench.mlp, start, recipe, bench.examples(), "sparse", seeds=seeds, lanes=2)
    for index in range(5):
        one = slice(index, index + 1)
        alone = bench.train(bench.mlp, start[one], recipe, bench.examples(), "sparse", seeds=seeds[one])
        for name, value in alone.stack.network(0).items():
            assert torch.equal(whole.stack.network(index)[name], value)
        assert torch.equal(whole.curves.values[:, one], alone.curves.values)


def test_one_network_at_a_time_has_its_bits_wherever_it_stands(bench) -> None:
    start, seeds = bench.stack(bench.convnet, 4), bench.seeds(4)
    examples, recipe = bench.examples((1, 4, 4)), bench.recipe()
    whole = bench.train(bench.convnet, start, recipe, examples, seeds=seeds, networks_at_once=1)
    last = bench.train(bench.convnet, start[2:], recipe, examples, seeds=seeds[2:], networks_at_once=1, lanes=2)
    for index in (0, 1):
        for name, value in last.stack.network(index).items():
            assert torch.equal(whole.stack.network(index + 2)[name], value)
    assert torch.equal(whole.curves.values[:, 2:], last.curves.values)


def test_no_bound_is_the_same_as_a_bound_that_does_not_bind(bench) -> None:
    start, recipe = bench.stack(bench.mlp, 3), bench.recipe()
    free = bench.train(bench.mlp, start, recipe, bench.examples(), "layered")
    bound = bench.train(bench.mlp, start, recipe, bench.examples(), "layered", networks_at_once=100)
    same(free, bound, **EXACTLY)


def test_shards_by_hand() -> None:
    def sizes(networks: int, lanes: int, at_once: int) -> list[int]:
        return [shard.stop - shard.start for shard in shards_of(networks, lanes, at_once)]

    assert sizes(6, 1, 6) == [6]
    assert sizes(6, 2, 6) == [3, 3]
    assert sizes(6, 2, 100) == [3, 3]
    assert sizes(5, 2, 5) == [2, 3]
    assert sizes(2, 8, 2) == [1, 1], "no empty shards"
    assert sizes(6, 1, 2) == [2, 2, 2]
    assert sizes(6, 2, 2) == [1] * 6
    assert sizes(7, 1, 3) == [2, 2, 3]
    assert sizes(8, 2, 5) == [2, 2, 2, 2]
    assert sizes(3, 4, 1) == [1, 1, 1]


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 70))
def test_shards_cover_the_stack_in_order_and_within_the_bound(networks: int, lanes: int, at_once: int) -> None:
    shards = shards_of(networks, lanes, at_once)
    assert [index for shard in shards for index in range(networks)[shard]] == list(range(networks))
    sizes = [shard.stop - shard.start for shard in shards]
    assert min(sizes) >= 1
    for first in range(len(sizes)):
        assert sum(sizes[first : first + min(lanes, at_once)]) <= at_once


def test_no_more_networks_train_side_by_side_than_the_bound_says(bench) -> None:
    lanes: set[int] = set()
    options = {"lanes": 3, "networks_at_once": 2, "tick": lambda networks: lanes.add(threading.get_ident())}
    bench.train(bench.mlp, bench.stack(bench.mlp, 6), bench.recipe(), bench.examples(), **options)
    assert len(lanes) <= 2


class ModelError(Exception):
    """What a user's model might raise."""


@pytest.mark.parametrize("fault", [ModelError("model"), KeyboardInterrupt()])
@pytest.mark.parametrize("failing", [1, 2])
def test_an_exception_in_one_lane_comes_out_and_stops_the_other(bench, fault, failing: int) -> None:
    taken = {1: 0, 2: 0}
    both = threading.Barrier(2, timeout=20)

    def tick(networks: int) -> None:
        # Of three networks the first lane has one and the second two; so the number says which it is.
        taken[networks] += 1
        if taken[networks] == 3:
            both.wait()
            if networks == failing:
                raise fault

    recipe = bench.recipe(steps=30_000, evaluate_every=30_000)
    with pytest.raises(type(fault)):
        bench.train(bench.mlp, bench.stack(bench.mlp, 3), recipe, bench.examples(), "layered", lanes=2, tick=tick)
    assert taken[failing] == 3
    assert taken[3 - failing] < 15_000, "the other lane went on"


def test_a_failure_keeps_the_shards_that_wait_from_training(bench) -> None:
    taken = []

    def tick(networks: int) -> None:
        taken.append(networks)
        raise ModelError

    with pytest.raises(ModelError):
        bench.train(
            bench.mlp, bench.stack(bench.mlp, 5), bench.recipe(), bench.examples(), networks_at_once=1, tick=tick
        )
    assert taken == [1]


def test_tick_is_told_of_every_step_of_every_network(bench) -> None:
    for lanes, at_once in [(1, None), (2, None), (1, 2)]:
        taken: list[int] = []
        bench.train(
            bench.mlp, bench.stack(bench.mlp, 5), bench.recipe(), bench.examples(),
            lanes=lanes, networks_at_once=at_once, tick=taken.append,
        )  # fmt: skip
        assert sum(taken) == 5 * 15


@pytest.mark.parametrize("model", ["convnet", "dropnet"])
def test_the_global_generator_comes_out_as_it_went_in(bench, model: str) -> None:
    build, shape = getattr(bench, model), (1, 4, 4) if model == "convnet" else (6,)
    start, recipe = bench.stack(build, 4), bench.recipe(steps=60)
    before = torch.get_rng_state()
    for lanes in (1, 3):
        bench.train(build, start, recipe, bench.examples(shape), "looped", lanes=lanes)
        assert torch.equal(torch.get_rng_state(), before)
