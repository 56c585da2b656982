"""Cross-entropy against torch.nn.functional.cross_entropy and its own arguments."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from tickets.config import TrainConfig
from tickets.tasks import Scale, is_plain_cross_entropy, task_of

WEIGHTS = (0.5, 2.0, 1.25)
ASKED = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.2},
    "weighted": {"class_weights": WEIGHTS},
    "both": {"label_smoothing": 0.2, "class_weights": WEIGHTS},
}


def given(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of four networks for 17 examples of 3 classes, and the labels."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 17, 3, generator=generator, dtype=dtype), torch.randint(3, (17,), generator=generator)


def by_torch(logits: torch.Tensor, labels: torch.Tensor, asked: str) -> torch.Tensor:
    options = ASKED[asked]
    weight = torch.tensor(options["class_weights"], dtype=logits.dtype) if "class_weights" in options else None
    return functional.cross_entropy(logits, labels, weight, label_smoothing=options.get("label_smoothing", 0.0))


@pytest.mark.parametrize("asked", ASKED)
def test_the_loss_of_a_batch_and_its_gradient(asked: str) -> None:
    logits, labels = given()
    task = task_of(TrainConfig(**ASKED[asked]))
    for one in logits:
        mine, theirs = one.clone().requires_grad_(), one.clone().requires_grad_()
        loss, expected = task.loss(mine, labels), by_torch(theirs, labels, asked)
        loss.backward(), expected.backward()
        assert torch.equal(loss, expected)
        assert torch.equal(mine.grad, theirs.grad)


@pytest.mark.parametrize("chunk", [1, 5, 17])
@pytest.mark.parametrize("asked", ASKED)
def test_chunks_of_examples_give_the_mean_over_all(asked: str, chunk: int) -> None:
    """Weighted, it is the mean by the weights of all examples, and not of the chunks' means."""
    logits, labels = given()
    task = task_of(TrainConfig(**ASKED[asked]))
    parts = zip(logits.split(chunk, 1), labels.split(chunk), strict=True)
    found = task.means(sum(task.totals(*part) for part in parts), labels)
    expected = [
        [float(by_torch(one, labels, asked)), float((one.argmax(1) == labels).double().mean())] for one in logits
    ]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=0)


def test_the_loss_of_guessing_is_that_of_equal_logits() -> None:
    _, labels = given()
    assert task_of(TrainConfig()).scale(labels, 3, (3,)) == Scale("accuracy", math.log(3))
    for asked in ("smoothed", "weighted", "both"):
        scale = task_of(TrainConfig(**ASKED[asked])).scale(labels, 3, (3,))
        assert scale.accuracy == "accuracy"
        assert scale.guess == pytest.approx(float(by_torch(torch.zeros(17, 3), labels, asked)), rel=1e-6)


@pytest.mark.parametrize("asked", ASKED)
def test_which_losses_are_plain(asked: str) -> None:
    assert is_plain_cross_entropy(TrainConfig(**ASKED[asked])) == (asked == "plain")


def test_a_network_whose_loss_is_not_finite_has_no_accuracy() -> None:
    logits, labels = given()
    logits[1, 3, 0] = torch.nan
    task = task_of(TrainConfig(class_weights=WEIGHTS))
    found = task.means(task.totals(logits, labels), labels)
    assert found.isnan().tolist() == [[False, False], [True, True], [False, False], [False, False]]


def test_targets_that_do_not_fit() -> None:
    _, labels = given()
    assert task_of(TrainConfig()).problems(labels, 3) == []
    (wrong,) = task_of(TrainConfig()).problems(labels[:, None].float(), 1)
    assert wrong == (
        'train.loss = "cross_entropy": needs whole-number labels, the classes from 0, and those of the data are '
        'float32; write loss = "mse" (regression), or return the labels as int64'
    )
    (wrong,) = task_of(TrainConfig(class_weights=(1, 2))).problems(labels, 3)
    assert wrong == "train.class_weights: must have 3 numbers, one for each class, not 2"
