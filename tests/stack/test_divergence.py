"""A network that diverges says so, and does nothing to the others of its stack."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from tickets.measures import Label, curve_rows, diverged, round_rows
from tickets.stack.networks import stack_networks

STRATEGIES = [
    ("layered", "mlp", (6,)),
    ("sparse", "mlp", (6,)),
    ("sparse", "convnet", (1, 4, 4)),
    ("vectorised", "normnet", (1, 4, 4)),
    ("looped", "convnet", (1, 4, 4)),
]
SCORES = [
    "early_stop_step", "early_stop_test_accuracy", "early_stop_validation_loss", "final_test_accuracy",
    "final_test_loss", "final_train_loss",
]  # fmt: skip


def broken_start(bench, build, value: float):
    """The bench's networks, the second of them with one number in every weight, and the masks."""
    values, masks = bench.networks(build)
    parameters = [name for name, _ in build().named_parameters()]
    values[1] = {
        name: torch.full_like(tensor, value) if name in masks[1] else tensor for name, tensor in values[1].items()
    }
    return stack_networks(values, masks, parameters)


@pytest.mark.parametrize(("strategy", "model", "shape"), STRATEGIES)
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("value", [1e30, math.nan, math.inf])
def test_a_broken_network_leaves_the_others_as_they_are(
    bench, strategy: str, model: str, shape: tuple[int, ...], optimizer: str, value: float
) -> None:
    build, examples = getattr(bench, model), bench.examples(shape)
    recipe = bench.recipe(optimizer=optimizer, weight_decay=0.01)
    sound = bench.train(build, bench.stack(build), recipe, examples, strategy)
    broken = bench.train(build, broken_start(bench, build, value), recipe, examples, strategy)
    for index in (0, 2):
        for name, tensor in sound.stack.network(index).items():
            assert torch.equal(broken.stack.network(index)[name], tensor), name
        assert torch.equal(broken.curves.values[:, index], sound.curves.values[:, index])
    for name, mask in broken.stack.masks.items():
        pruned = broken.stack.parameters[name][~mask]
        assert torch.equal(pruned, torch.zeros_like(pruned)), name
    assert diverged(sound.curves, sound.stack, math.log(3)).tolist() == [False, False, False]
    # Batch normalisation divides a weight of any finite size away.
    if not (model == "normnet" and value == 1e30):
        assert diverged(broken.curves, broken.stack, math.log(3)).tolist() == [False, True, False]


def test_its_rows_hold_nan_and_say_diverged(bench) -> None:
    trained = bench.train(bench.mlp, broken_start(bench, bench.mlp, math.nan), bench.recipe(), bench.examples())
    labels = [Label(replicate, 2, 0.5, "ticket", 0) for replicate in range(3)]
    lost = diverged(trained.curves, trained.stack, math.log(3))
    rows = round_rows("run", labels, trained.curves, lost, seconds=6.0)
    assert rows["diverged"].tolist() == [False, True, False]
    assert rows.loc[1, SCORES].isna().all()
    assert rows.loc[[0, 2], SCORES].notna().all(axis=None)
    assert rows["seconds"].tolist() == [2.0, 2.0, 2.0]
    curves = curve_rows("run", labels, trained.curves)
    measured = curves.columns[curves.columns.get_loc("step") + 1 :]
    assert curves.loc[curves["replicate"] == 1, measured].isna().all(axis=None), "never 0, never dropped"
    assert len(curves) == 3 * 4


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adamw"])
def test_an_absurd_learning_rate_diverges(bench, optimizer: str) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = {"train": 80, "validation": 20, "test": 20}
    parts = {f"{part}_inputs": torch.randn(n, 40, generator=generator) for part, n in shapes.items()}
    parts |= {f"{part}_labels": torch.randint(3, (n,), generator=generator) for part, n in shapes.items()}
    examples = dataclasses.replace(bench.examples(), **parts)

    def build():
        return bench.mlp(40)

    start = bench.stack(build)
    recipe = bench.recipe(optimizer=optimizer, learning_rate=1e6, steps=60, evaluate_every=20)
    trained = bench.train(build, start, recipe, examples, "layered")
    assert diverged(trained.curves, trained.stack, math.log(3)).tolist() == [True, True, True]
    for name, mask in trained.stack.masks.items():
        assert (trained.stack.parameters[name][~mask] == 0).all()
    calm = bench.train(build, start, bench.recipe(optimizer=optimizer, learning_rate=1e-2), examples, "layered")
    assert not np.any(diverged(calm.curves, calm.stack, math.log(3)))
