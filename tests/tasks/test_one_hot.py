"""The squared error to one-hot targets against PyTorch and by hand."""

from __future__ import annotations

import math

import pytest
import torch

from tickets.config import TrainConfig
from tickets.tasks import Scale, is_plain_cross_entropy, task_of

TASK = task_of(TrainConfig(loss="mse_one_hot"))


def test_loss_and_accuracy_by_hand() -> None:
    targets = torch.tensor([0, 2])
    outputs = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0], [0.0, 0.0, 3.0]]])
    found = TASK.means(TASK.totals(outputs, targets), targets)
    # Of the second network: (1 + 1) for the first example, 4 for the second; 2 examples of 3 classes.
    assert found.tolist() == [[0.0, 1.0], [1.0, 0.5]]
    assert TASK.loss(outputs[1], targets) == 1.0


@pytest.mark.parametrize("chunk", [1, 5, 17])
def test_it_is_the_mean_squared_error_to_the_unit_vectors(chunk: int) -> None:
    generator = torch.Generator().manual_seed(chunk)
    outputs, targets = torch.randn(3, 17, 4, generator=generator), torch.randint(4, (17,), generator=generator)
    parts = zip(outputs.split(chunk, 1), targets.split(chunk), strict=True)
    found = TASK.means(sum(TASK.totals(*part) for part in parts), targets)
    expected = (outputs - torch.eye(4)[targets]).square().mean((1, 2))
    torch.testing.assert_close(found[:, 0], expected.double(), rtol=1e-6, atol=0)
    one = outputs[0].clone().requires_grad_()
    TASK.loss(one, targets).backward()
    torch.testing.assert_close(one.grad, 2 * (outputs[0] - torch.eye(4)[targets]) / (17 * 4))


def test_guessing_is_to_answer_the_shares_of_the_classes() -> None:
    targets = torch.tensor([0, 0, 0, 1])
    best = torch.tensor([0.75, 0.25, 0.0]).expand(4, 3)
    assert TASK.scale(targets, 3, (3,)) == Scale("accuracy", pytest.approx(float(TASK.loss(best, targets))))


def test_a_loss_that_is_not_finite_has_no_accuracy() -> None:
    outputs = torch.zeros(2, 3, 2)
    outputs[1, 0, 0] = math.inf
    found = TASK.means(TASK.totals(outputs, torch.tensor([0, 0, 1])), torch.tensor([0, 0, 1]))
    assert found[0].tolist() == [0.5, pytest.approx(2 / 3)]
    assert found[1].tolist() == [math.inf, pytest.approx(math.nan, nan_ok=True)]


def test_targets_that_do_not_fit() -> None:
    assert not is_plain_cross_entropy(TrainConfig(loss="mse_one_hot"))
    assert TASK.problems(torch.arange(4), 4) == []
    (wrong,) = TASK.problems(torch.zeros(4, 2), 2)
    assert wrong.startswith('train.loss = "mse_one_hot": needs whole-number labels, the classes from 0')
    assert "float32" in wrong
