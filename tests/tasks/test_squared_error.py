"""The mean squared error and R2 against PyTorch and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_squared_error, r2_score

from tickets.config import TrainConfig
from tickets.tasks import Scale, is_plain_cross_entropy, task_of

TASK = task_of(TrainConfig(loss="mse"))


def given(numbers: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs of four networks for 17 examples, and the targets, of different size for each number."""
    generator = torch.Generator().manual_seed(numbers)
    targets = torch.randn(17, numbers, generator=generator) * 10 ** torch.arange(numbers) + 5
    return targets + torch.randn(4, 17, numbers, generator=generator), targets


@pytest.mark.parametrize("numbers", [1, 3])
def test_the_loss_of_a_batch(numbers: int) -> None:
    outputs, targets = given(numbers)
    one = outputs[0].clone().requires_grad_()
    loss = TASK.loss(one, targets)
    loss.backward()
    assert loss.item() == pytest.approx(float(((outputs[0] - targets) ** 2).mean()), rel=1e-6)
    torch.testing.assert_close(one.grad, 2 * (outputs[0] - targets) / targets.numel())


def test_outputs_of_another_dtype_than_the_targets() -> None:
    outputs, targets = given(2)
    for dtype, expected in ((torch.float64, torch.float64), (torch.bfloat16, torch.float32)):
        one = outputs[0].to(dtype).requires_grad_()
        loss = TASK.loss(one, targets)
        loss.backward()
        assert (loss.dtype, one.grad.dtype) == (expected, dtype)


@pytest.mark.parametrize("chunk", [1, 5, 17])
@pytest.mark.parametrize("numbers", [1, 3])
def test_error_and_r2_are_those_of_scikit_learn(numbers: int, chunk: int) -> None:
    outputs, targets = given(numbers)
    parts = zip(outputs.split(chunk, 1), targets.split(chunk), strict=True)
    found = TASK.means(sum(TASK.totals(*part) for part in parts), targets)
    expected = [[mean_squared_error(targets, one), r2_score(targets, one)] for one in outputs.double()]
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_r2_by_hand() -> None:
    targets = torch.tensor([[1.0], [3.0]])
    outputs = torch.tensor([[[1.0], [3.0]], [[2.0], [2.0]], [[3.0], [1.0]]])
    found = TASK.means(TASK.totals(outputs, targets), targets)
    assert found.tolist() == [[0.0, 1.0], [1.0, 0.0], [4.0, -3.0]]


def test_a_number_that_does_not_vary_has_no_part_in_r2() -> None:
    outputs, targets = given(2)
    targets[:, 1] = 0.1  # no number that float32 has
    found = TASK.means(TASK.totals(outputs, targets), targets)
    np.testing.assert_allclose(found[:, 1], [r2_score(targets[:, 0], one[:, 0]) for one in outputs], rtol=1e-6)
    found = TASK.means(TASK.totals(outputs[:, :, 1:], targets[:, 1:]), targets[:, 1:])
    assert found[:, 0].isfinite().all()
    assert found[:, 1].isnan().all()


def test_a_loss_that_is_not_finite_has_no_r2() -> None:
    outputs, targets = given(1)
    outputs[2, 4] = torch.inf
    found = TASK.means(TASK.totals(outputs, targets), targets)
    assert found.isfinite().all(1).tolist() == [True, True, False, True]
    assert found[2].tolist() == [torch.inf, pytest.approx(torch.nan, nan_ok=True)]


def test_the_loss_of_guessing_is_the_variance() -> None:
    _, targets = given(3)
    scale = TASK.scale(targets, 3, (3,))
    assert scale == Scale("R2", pytest.approx(float(np.var(targets.numpy(), axis=0, dtype=np.float64).mean())))


def test_targets_that_do_not_fit() -> None:
    assert not is_plain_cross_entropy(TrainConfig(loss="mse"))
    assert TASK.problems(given(2)[1], 2) == []
    (wrong,) = TASK.problems(torch.arange(4), 4)
    assert wrong.startswith('train.loss = "mse": needs floating-point labels, the numbers to predict')
    (wrong,) = TASK.problems(torch.full((5, 2), 0.1), 2)
    assert wrong == (
        'train.loss = "mse": the labels of all training examples are the same, so there is nothing to predict'
    )
