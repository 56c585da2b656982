"""The probe `convergence`: what it measures of curves that are known, and of a training by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from networks_by_hand import networks_by_hand
from torch import nn

from tickets.probes.convergence import convergence, fitted_rate


def one_weight() -> nn.Module:
    return nn.Sequential(nn.Linear(1, 1, bias=False))


def at(weights: list[float], step: int, carry: dict[str, torch.Tensor], starts: list[float]):
    """Networks w x at a step; the targets are 0, so that the loss is the mean of w**2 x**2 = 2.5 w**2."""
    inputs, targets = torch.tensor([[1.0], [2.0]]), torch.zeros(2, 1)
    values, initial = ([{"0.weight": torch.tensor([[value]])} for value in given] for given in (weights, starts))
    masks = [{}] * len(weights)
    train = {"loss": "mse", "steps": max(step, 1)}
    found = networks_by_hand(one_weight, values, masks, inputs, targets, initial=initial, train=train)
    return type(found)(**{**vars(found), "step": step, "carry": carry})


def test_what_is_measured_step_by_step() -> None:
    carry: dict[str, torch.Tensor] = {}
    starts = [4.0, 1.0]
    curves = {0: [4.0, 1.0], 10: [2.0, 1.0], 20: [1.0, 0.5], 30: [0.5, 0.5], 40: [0.25, math.nan]}
    found = {step: convergence(at(weights, step, carry, starts), loss=2.5) for step, weights in curves.items()}
    assert [table["training_loss"].tolist() for table in list(found.values())[:2]] == [[40.0, 2.5], [10.0, 2.5]]
    assert [table["reached"].tolist() for table in found.values()] == [
        [False, True], [False, True], [True, True], [True, True], [True, False],
    ]  # fmt: skip
    assert [table["steps"][0] for table in found.values()][2:] == [20.0] * 3
    assert found[0]["steps"][1] == 0
    assert math.isnan(found[10]["steps"][0])
    assert found[20]["distance"].tolist() == [3.0, 0.5]
    assert found[20]["relative_distance"].tolist() == [0.75, 0.5]
    # From step 10 on there are two points up to step 20, where the loss is reached: none at 5.
    assert math.isnan(found[20]["rate"][0])
    assert found[40].drop(columns=["network", "reached"]).iloc[1].isna().all()


def test_rates_of_known_curves() -> None:
    steps = np.arange(0, 101, 10)
    falls = np.exp(-0.02 * steps)
    assert fitted_rate(steps, falls) == pytest.approx(0.02)
    # Up to the step where it was reached, from half of it on: the two later thirds are steeper.
    curve = np.where(steps <= 60, falls, np.exp(-0.02 * 60 - 0.5 * (steps - 60)))
    assert fitted_rate(steps, curve, 60.0) == pytest.approx(0.02)
    assert fitted_rate(steps, curve) > 0.1
    assert math.isnan(fitted_rate(steps[:2], falls[:2]))
    assert math.isnan(fitted_rate(steps, np.where(steps == 80, 0.0, falls)))
    assert math.isnan(fitted_rate(steps, np.where(steps == 80, np.inf, falls)))
    assert fitted_rate(steps, np.where(steps == 10, np.inf, falls)) == pytest.approx(0.02)


def test_a_start_of_zeros_has_no_relative_distance_and_pruned_weights_do_not_travel() -> None:
    (row,) = convergence(at([1.0], 0, {}, [0.0])).to_dict("records")
    assert row["distance"] == 1.0
    assert math.isnan(row["relative_distance"])
    inputs = torch.ones(2, 2)
    values, initial = ({"0.weight": torch.tensor([pair])} for pair in ([5.0, 3.0], [2.0, 3.0]))
    networks = networks_by_hand(
        lambda: nn.Sequential(nn.Linear(2, 1, bias=False)), [values], [{"0.weight": torch.tensor([[True, False]])}],
        inputs, torch.zeros(2, 1), initial=[initial], train={"loss": "mse"},
    )  # fmt: skip
    held = type(networks)(**{**vars(networks), "initial": {"0.weight": torch.tensor([[[2.0, 7.0]]])}})
    (row,) = convergence(held).to_dict("records")
    assert (row["distance"], row["relative_distance"]) == (3.0, 1.5)
