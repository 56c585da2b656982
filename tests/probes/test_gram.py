"""The probe `gram`: what it predicts of a linear model is what a plain loop of gradient descent takes."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from networks_by_hand import networks_by_hand
from torch import nn
from torch.nn import functional

from tickets.linearised import linear_rate, steps_to_loss
from tickets.probes.gram import gram

RECIPE = {"loss": "mse", "optimizer": "sgd", "learning_rate": 0.3, "batch_size": 8, "steps": 10}


def linear() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 2))


def problem() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(8, 4, generator=generator)
    return inputs, inputs @ torch.randn(4, 2, generator=generator) + 0.5


def descend(module: nn.Module, inputs: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor | None, most: int):
    """The losses of gradient descent with the rate of RECIPE."""
    module, losses = module.double(), []
    for _ in range(most):
        loss = functional.mse_loss(module(inputs.double()), targets.double())
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, list(module.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(module.parameters(), gradients, strict=True):
                kept = 1.0 if mask is None or parameter.dim() < 2 else mask
                parameter -= RECIPE["learning_rate"] * gradient * kept
    return losses


def test_the_steps_of_a_linear_model_are_those_that_gradient_descent_takes() -> None:
    inputs, targets = problem()
    networks = networks_by_hand(linear, [{}], [{}], inputs, targets, train=RECIPE)
    losses = descend(networks.module(0), inputs, targets, None, 4000)
    for level in (0.5, 1e-3, 1e-9):
        (row,) = gram(networks, loss=level).to_dict("records")
        assert row["steps"] == next(step for step, loss in enumerate(losses) if loss <= level)
    assert row["outputs"] == 16
    # There are 10 parameters for 16 outputs: the matrix has eigenvalues 0, along which nothing is to be learnt.
    assert row["smallest"] == pytest.approx(0.0, abs=1e-9)
    assert row["rate"] == pytest.approx(0.0, abs=1e-9)


def test_the_rate_is_that_of_the_slowest_part() -> None:
    inputs, targets = problem()
    networks = networks_by_hand(linear, [{}], [{}], inputs[:4], targets[:4], train={**RECIPE, "batch_size": 4})
    (row,) = gram(networks, loss=1e-3).to_dict("records")
    losses = descend(networks.module(0), inputs[:4], targets[:4], None, 1000)
    assert row["smallest"] > 1e-3
    assert row["rate"] == pytest.approx(math.log(losses[800] / losses[801]), rel=1e-6)
    design = torch.cat([inputs[:4], torch.ones(4, 1)], 1).double()
    expected = torch.linalg.eigvalsh(design @ design.T)
    assert (row["smallest"], row["largest"]) == (pytest.approx(expected[0].item()), pytest.approx(expected[-1].item()))


def test_what_rounding_makes_of_0_is_0() -> None:
    """Otherwise it would fall with the largest eigenvalue, and claims would rank it."""
    inputs, targets = problem()
    for factor in (1.0, 100.0):
        networks = networks_by_hand(linear, [{}], [{}], factor * inputs, targets, train=RECIPE)
        (row,) = gram(networks).to_dict("records")
        assert (row["smallest"], row["smallest_trained"], row["rate"]) == (0, 0, 0)
        assert math.copysign(1, row["rate"]) == 1


def test_pruned_weights_have_no_part() -> None:
    inputs, targets = problem()
    mask = torch.tensor([[True, False, True, True], [False, True, True, False]])
    networks = networks_by_hand(linear, [{}], [{"0.weight": mask}], inputs, targets, train=RECIPE)
    losses = descend(networks.module(0), inputs, targets, mask, 2000)
    level = 1.01 * losses[-1]
    (row,) = gram(networks, loss=level).to_dict("records")
    assert row["steps"] == next(step for step, loss in enumerate(losses) if loss <= level)


def test_the_matrix_of_a_linear_model_does_not_change_and_that_of_another_does() -> None:
    inputs, targets = problem()

    def rectified() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))

    for build, changes in ((linear, False), (rectified, True)):
        moved = {name: value.detach() + 1.0 for name, value in build().named_parameters()}
        networks = networks_by_hand(build, [moved], [{}], inputs[:4], targets[:4], initial=[{}], train=RECIPE)
        (row,) = gram(networks).to_dict("records")
        assert (row["change"] > 0.01) == changes
        assert (row["smallest_trained"] == pytest.approx(row["smallest"], abs=1e-9)) == (not changes)


@pytest.mark.parametrize(
    "other",
    [
        {"optimizer": "adam"},
        {"momentum": 0.9},
        {"weight_decay": 0.1},
        {"schedule": "cosine"},
        {"warmup_steps": 2},
        {"batch_size": 7},
    ],
)
def test_another_training_has_no_prediction(other) -> None:
    inputs, targets = problem()
    networks = networks_by_hand(linear, [{}], [{}], inputs, targets, train={**RECIPE, **other})
    (row,) = gram(networks).to_dict("records")
    assert math.isnan(row["rate"])
    assert math.isnan(row["steps"])
    assert row["largest"] > 0


def test_the_prediction_is_by_the_arms_own_recipe() -> None:
    inputs, targets = problem()
    own = {"name": "reinit", "train": {"learning_rate": 0.1}}
    arms = ["ticket", own, {"name": "reorder", "train": {"momentum": 0.9}}, "edge_popup"]
    given = networks_by_hand(linear, [{}] * 4, [{}] * 4, inputs[:4], targets[:4], train=RECIPE, arms=arms)
    labels = tuple(
        replace(one, arm=arm)
        for one, arm in zip(given.labels, ("ticket", "reinit", "reorder", "edge_popup"), strict=True)
    )
    rows = gram(replace(given, labels=labels)).to_dict("records")
    for row, rate in zip(rows[:2], (0.3, 0.1), strict=True):
        assert row["rate"] == pytest.approx(-2 * math.log(1 - 2 * rate * row["smallest"] / 8))
    for row in rows[2:]:  # with momentum, and with weights that stay
        assert (math.isnan(row["rate"]), math.isnan(row["steps"]), row["largest"] > 0) == (True, True, True)


@pytest.mark.parametrize("other", [nn.Dropout(0.5), nn.BatchNorm1d(4)])
def test_a_network_that_computes_otherwise_in_training_has_no_prediction(other) -> None:
    inputs, targets = problem()
    networks = networks_by_hand(
        lambda: nn.Sequential(copy.deepcopy(other), nn.Linear(4, 2)), [{}], [{}], inputs, targets, train=RECIPE
    )
    (row,) = gram(networks).to_dict("records")
    assert (math.isnan(row["rate"]), math.isnan(row["steps"]), row["largest"] > 0) == (True, True, True)


def test_augmented_examples_have_no_prediction() -> None:
    inputs, targets = problem()
    given = networks_by_hand(linear, [{}], [{}], inputs, targets, train=RECIPE)
    examples = replace(given.examples, augment=lambda batch, generator: batch)
    (row,) = gram(replace(given, context=replace(given.context, read_examples=lambda: examples))).to_dict("records")
    assert math.isnan(row["rate"])


def test_some_of_the_examples_have_no_prediction_and_a_diverged_network_has_nothing() -> None:
    inputs, targets = problem()
    lost = {"0.bias": torch.tensor([0.0, math.nan])}
    networks = networks_by_hand(linear, [{}, lost], [{}, {}], inputs, targets, train=RECIPE)
    found = gram(networks, examples=3)
    assert found["outputs"].tolist() == [6, pytest.approx(math.nan, nan_ok=True)]
    assert math.isnan(found["rate"][0])
    assert found.drop(columns="network").iloc[1].isna().all()


def test_steps_by_hand() -> None:
    shrinks, parts = torch.tensor([0.5, 0.0]), torch.tensor([1.0, 0.25])
    assert steps_to_loss(shrinks, parts, 2.0) == 0
    assert steps_to_loss(shrinks, parts, 0.5) == 1  # 1/4 + 1/4
    assert steps_to_loss(shrinks, parts, 0.3) == 3  # 1/64 + 1/4
    assert math.isnan(steps_to_loss(shrinks, parts, 0.2))  # a quarter stays
    assert math.isnan(steps_to_loss(torch.tensor([2.5]), torch.tensor([1.0]), 0.2))  # rises
    assert linear_rate(0.5) == pytest.approx(2 * math.log(2))
    assert linear_rate(1.0) == math.inf
    assert linear_rate(2.5) < 0
