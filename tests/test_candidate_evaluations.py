"""Evaluations of a candidate are repeatable, and nothing that one does is seen by another."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from candidates import CLASSES, after_round, candidates_of, inputs_of, mlp, normalised, values_of
from torch import Tensor, nn


def dropping() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, CLASSES))


class Untidy(nn.Module):
    """Writes to its inputs, counts its calls, and changes a buffer that its output depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.out = 0, nn.Linear(4, CLASSES)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen += x.detach().mean()
        return self.out(x.mul_(self.calls)) * (1 + self.seen)


@pytest.mark.parametrize("build", [Untidy, normalised, dropping])
def test_evaluations_are_repeatable_and_change_nothing(build: Callable[[], nn.Module]) -> None:
    inputs = inputs_of(4)
    made, theta0 = candidates_of(build, inputs), values_of(build)
    data, before = made.examples.train_inputs.clone(), {name: value.clone() for name, value in theta0.items()}
    mask = {name: torch.ones_like(value, dtype=torch.bool) for name, value in theta0.items() if value.dim() > 1}
    candidate = made.at_start(1, 0, theta0, mask, "global", 0)
    batch = candidate.batch()
    given = batch.inputs.clone()
    one, other = (candidate.gradients(examples=batch) for _ in range(2))
    assert candidate.loss(examples=batch) == candidate.loss(examples=batch)
    candidate.hessian_product(one)
    candidate.logits(training=True)
    candidate.build()(inputs.clone())
    for name, gradient in one.items():
        assert torch.equal(other[name], gradient)
    for name, value in before.items():
        assert torch.equal(theta0[name], value)
        assert torch.equal(candidate.values.trained[name], value)
    assert torch.equal(made.examples.train_inputs, data)
    assert torch.equal(batch.inputs, given)


def test_dropout_draws_in_training_mode_alone_and_another_mask_for_another_replicate() -> None:
    theta0, made = values_of(dropping), candidates_of(dropping, inputs_of(4))
    mask = {name: torch.ones_like(value, dtype=torch.bool) for name, value in theta0.items() if value.dim() > 1}
    one, other = (made.at_start(1, replicate, theta0, mask, "global", 0) for replicate in (0, 1))
    batch = one.batch()
    drawn, elsewhere = (some.logits(examples=batch, training=True) for some in (one, other))
    assert not torch.equal(drawn, elsewhere)
    assert not torch.equal(drawn, one.logits(examples=batch))
    assert torch.equal(one.logits(examples=batch), other.logits(examples=batch))


def test_networks_are_evaluated_in_one_thread() -> None:
    class Threads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(4, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            assert torch.get_num_threads() == 1
            return self.out(x)

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        candidate = after_round(Threads, inputs_of(4))
        candidate.hessian_product(candidate.gradients())
        candidate.logits()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_the_state_of_the_process_decides_no_bit_and_is_left_as_it_was() -> None:
    candidate, threads = after_round(mlp, inputs_of(4)), torch.get_num_threads()
    expected, loss = candidate.gradients(), candidate.loss()
    states = torch.default_generator.get_state(), random.getstate()
    try:
        torch.set_num_threads(threads + 1)
        torch.set_default_dtype(torch.float64)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            again = candidate.gradients()
            assert candidate.loss() == loss
        assert (torch.get_num_threads(), torch.get_default_dtype()) == (threads + 1, torch.float64)
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(torch.float32)
    for name, gradient in expected.items():
        assert torch.equal(again[name], gradient)
    assert torch.equal(torch.default_generator.get_state(), states[0])
    assert random.getstate() == states[1]


def test_a_module_that_draws_as_it_is_built_or_run_gets_the_same_numbers() -> None:
    class Draws(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out, self.shift = nn.Linear(4, CLASSES), random.random()

        def forward(self, x: Tensor) -> Tensor:
            return self.out(x + self.shift + np.random.random() + random.random() + torch.rand(()))

    candidate = after_round(Draws, inputs_of(4))
    one = candidate.logits()
    random.seed(3)
    np.random.seed(3)
    assert torch.equal(candidate.logits(), one)
