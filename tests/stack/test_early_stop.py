"""Steps in between on a few examples: the ends and the early-stop step are measured on all, and the bits stay."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from tickets.stack.early_stop import EarlyStop, some_of
from tickets.stack.evaluation import METRICS

MODELS = {
    "layered": ("mlp", (6,)),
    "sparse": ("mlp", (6,)),
    "vectorised": ("normnet", (1, 4, 4)),
    "looped": ("normnet", (1, 4, 4)),
}
COUNT = 4
LOSS = METRICS.index("validation_loss")


def on_few(examples: Any) -> Any:
    """The data set with nothing but the few: written out by hand, for COUNT of 10 and 14."""
    chosen = sorted(np.random.RandomState(20190506).permutation(14)[:COUNT].tolist())
    return dataclasses.replace(
        examples,
        validation_inputs=examples.validation_inputs[:COUNT],
        validation_labels=examples.validation_labels[:COUNT],
        test_inputs=examples.test_inputs[chosen],
        test_labels=examples.test_labels[chosen],
    )


@pytest.mark.parametrize("options", [{}, {"lanes": 2}, {"networks_at_once": 1}])
@pytest.mark.parametrize("strategy", MODELS)
def test_against_trainings_on_all_and_on_the_few(bench: Any, strategy: str, options: dict[str, Any]) -> None:
    name, shape = MODELS[strategy]
    build, examples = getattr(bench, name), bench.examples(shape)
    # A high learning rate, so that the lowest loss stands at steps in between, and at other ones for each network.
    changes: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 0.9, "steps": 31, "evaluate_every": 3}
    start = bench.stack(build, 5)

    def trained(data: Any, **more: Any) -> Any:
        return bench.train(build, start, bench.recipe(**changes, **more), data, strategy, **options)

    on_all, fewer, mixed = trained(examples), trained(on_few(examples)), trained(examples, evaluate_on=COUNT)
    for key, value in on_all.stack.parameters.items():
        assert torch.equal(value, mixed.stack.parameters[key])
    places = fewer.curves.values[:, :, LOSS].argmin(0)
    assert mixed.curves.early_stop.tolist() == places.tolist()
    assert len(set(places.tolist())) > 1
    assert torch.equal(mixed.curves.steps, on_all.curves.steps)
    between = 0
    last = len(on_all.curves.steps) - 1
    for network in range(5):
        for place in range(last + 1):
            wanted = on_all if place in (0, last) else fewer
            assert torch.equal(mixed.curves.values[place, network], wanted.curves.values[place, network])
        stop = int(places[network])
        assert torch.equal(mixed.curves.early_score[network], on_all.curves.values[stop, network])
        between += stop not in (0, last)
    assert between, "some network stopped at a step in between"
    assert on_all.curves.early_stop is None


@pytest.mark.parametrize(("count", "sizes"), [(3, (3, 3)), (10, (10, 10)), (12, (10, 12)), (14, None), (10**6, None)])
def test_how_many_examples_the_steps_in_between_are_measured_on(bench: Any, count: int, sizes: Any) -> None:
    few = some_of(bench.examples(), count)
    assert (few and (len(few.validation_labels), len(few.test_labels))) == sizes
    assert some_of(bench.examples(), None) is None


def test_enough_for_all_gives_what_none_gives(bench: Any) -> None:
    start, recipe = bench.stack(bench.mlp), bench.recipe()
    plain = bench.train(bench.mlp, start, recipe, bench.examples())
    enough = bench.train(bench.mlp, start, bench.recipe(evaluate_on=14), bench.examples())
    assert torch.equal(plain.curves.values, enough.curves.values)
    assert enough.curves.early_stop is None


def test_which_step_it_is_by_hand() -> None:
    nan, inf = math.nan, math.inf
    # By network: lowest in between; equal lowest; NaN at first; infinity before NaN; never finite.
    losses = torch.tensor(
        [[3, 2, nan, nan, nan], [1, 1, 5, inf, nan], [2, 1, nan, nan, nan], [4, 3, 5, nan, nan]], dtype=torch.float64
    )
    early = EarlyStop(5)
    for place, row in enumerate(losses):
        early.see(row, None)
        seen = np.nan_to_num(losses[: place + 1].numpy(), nan=inf)
        assert early.places.tolist() == seen.argmin(0).tolist()
    assert early.places.tolist() == [1, 1, 1, 1, 0]


def test_batch_normalisation_is_that_of_the_early_stop_step(bench: Any) -> None:
    """The score on all examples is of the statistics at that step too: with those of the end it would be another."""
    recipe = bench.recipe(optimizer="sgd", learning_rate=0.9, steps=31, evaluate_every=3, evaluate_on=COUNT)
    examples, start = bench.examples((1, 4, 4)), bench.stack(bench.normnet)
    mixed = bench.train(bench.normnet, start, recipe, examples)
    place = int(mixed.curves.early_stop[0])
    step = int(mixed.curves.steps[place])
    until = bench.train(bench.normnet, start, bench.recipe(optimizer="sgd", learning_rate=0.9, steps=step), examples)
    assert torch.equal(until.curves.values[-1, 0], mixed.curves.early_score[0])
