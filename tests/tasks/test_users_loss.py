"""A loss of the user's: what is measured beside it, and what is refused before any training."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from torch import Tensor, nn
from torch.nn import functional

from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.errors import InputError, UserCodeError
from tickets.tasks import Scale, is_plain_cross_entropy, task_of
from tickets.tasks.trying import check_loss
from tickets.tasks.users_loss import UsersLoss

GENERATOR = torch.Generator().manual_seed(0)
OUTPUTS, LABELS = torch.randn(4, 17, 3, generator=GENERATOR), torch.randint(3, (17,), generator=GENERATOR)
TARGETS = torch.randn(17, 3, generator=GENERATOR)


def measured(function: Callable[..., Any], outputs: Tensor, targets: Tensor, chunk: int = 5) -> Tensor:
    task = UsersLoss("a:b", function)
    parts = zip(outputs.split(chunk, 1), targets.split(chunk), strict=True)
    return task.means(sum(task.totals(*part) for part in parts), targets)


def hinge(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.multi_margin_loss(outputs, targets)


def huber(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.huber_loss(outputs, targets, delta=0.5)


def likelihood(outputs: Tensor, targets: Tensor) -> Tensor:
    """Negative and without a bound; the outputs are (n, 2, k), a mean and a logarithm of a variance."""
    return (0.5 * ((targets - outputs[:, 0]) ** 2 / outputs[:, 1].exp() + outputs[:, 1])).mean()


@pytest.mark.parametrize("chunk", [1, 5, 17])
def test_of_classes_it_is_the_accuracy(chunk: int) -> None:
    found = measured(hinge, OUTPUTS, LABELS, chunk)
    expected = [[float(hinge(one, LABELS)), float((one.argmax(1) == LABELS).double().mean())] for one in OUTPUTS]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("chunk", [1, 5, 17])
def test_of_numbers_it_is_r2(chunk: int) -> None:
    found = measured(huber, OUTPUTS, TARGETS, chunk)
    expected = [[float(huber(one, TARGETS)), r2_score(TARGETS, one)] for one in OUTPUTS]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_of_outputs_that_are_no_predictions_there_is_neither() -> None:
    outputs = torch.stack([OUTPUTS, -OUTPUTS.abs()], 2)
    found = measured(likelihood, outputs, TARGETS)
    np.testing.assert_allclose(found[:, 0], [float(likelihood(one, TARGETS)) for one in outputs], rtol=1e-6)
    assert found[:, 1].isnan().all()
    found = measured(
        lambda o, t: functional.binary_cross_entropy_with_logits(o[:, 0], t.float()), OUTPUTS[:, :, :1], LABELS // 2
    )
    assert found[:, 0].isfinite().all()
    assert found[:, 1].isnan().all(), "one output answers no class"


def test_what_the_function_writes_to_its_arguments_changes_nothing() -> None:
    def writes(outputs: Tensor, targets: Tensor) -> Tensor:
        loss = huber(outputs, targets)
        outputs.zero_(), targets.zero_()
        return loss

    outputs, targets = OUTPUTS.clone(), TARGETS.clone()
    assert torch.equal(measured(writes, outputs, targets), measured(huber, OUTPUTS, TARGETS))
    assert torch.equal(outputs, OUTPUTS)
    assert torch.equal(targets, TARGETS)


def test_what_the_function_draws_is_the_same_at_every_evaluation() -> None:
    def noisy(outputs: Tensor, targets: Tensor) -> Tensor:
        return huber(outputs + torch.rand(1) + random.random() + np.random.random(), targets)

    torch.manual_seed(8)
    before = torch.get_rng_state()
    first = measured(noisy, OUTPUTS, TARGETS)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(9), random.seed(9), np.random.seed(9)
    assert torch.equal(measured(noisy, OUTPUTS, TARGETS), first)


def test_the_loss_of_guessing() -> None:
    labels = torch.zeros(17, 3)
    assert UsersLoss("a:b", hinge).scale(LABELS, 3, (3,)) == Scale("accuracy", float(hinge(labels, LABELS)))
    mean = TARGETS.mean(0).expand(17, 3)
    assert UsersLoss("a:b", huber).scale(TARGETS, 3, (3,)) == Scale("R2", pytest.approx(float(huber(mean, TARGETS))))
    # Where the outputs are no predictions, or the loss of guessing is not positive, no loss is too high.
    assert UsersLoss("a:b", likelihood).scale(TARGETS, 3, (2, 3)) == Scale("none", math.inf)
    assert UsersLoss("a:b", lambda o, t: -huber(o, t)).scale(TARGETS, 3, (3,)) == Scale("R2", math.inf)
    assert UsersLoss("a:b", lambda o, t: o.no_such).scale(TARGETS, 3, (3,)) == Scale("R2", math.inf)


def examples(targets: Tensor) -> Examples:
    inputs = torch.randn(17, 5, generator=torch.Generator().manual_seed(1))
    return Examples(inputs, targets, inputs, targets, inputs, targets, 3)


def tried(function: Callable[..., Any], targets: Tensor = TARGETS, outputs: int = 3) -> None:
    torch.manual_seed(3)
    check_loss(UsersLoss("pkg.mod:f", function), nn.Linear(5, outputs), examples(targets), 8)


def fails(outputs: Tensor, targets: Tensor) -> Tensor:
    raise ZeroDivisionError("no good")


def overwrites(outputs: Tensor, targets: Tensor) -> Tensor:
    loss = huber(outputs, targets)
    targets.zero_()
    return loss


class Exits(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.mean()

    @staticmethod
    def backward(context: Any, *slopes: Tensor) -> Any:
        raise SystemExit(3)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (fails, r"fails on outputs of shape \(8, 3\) and targets of shape .*: ZeroDivisionError: no good \(at .*fails"),
        (lambda outputs: outputs.mean(), r"fails on .* takes 1 positional argument but 2 were given"),
        (lambda o, t: (o - t) ** 2, r"returns a tensor of shape \(8, 3\) and dtype torch.float32 for outputs"),
        (lambda o, t: huber(o, t)[None], r"returns a tensor of shape \(1,\)"),
        (lambda o, t: (o - t).abs().sum().long(), r"returns a tensor of shape \(\) and dtype torch.int64"),
        (lambda o, t: huber(o, t).item(), "returns a float for outputs of shape"),
        (lambda o, t: None, "returns a NoneType"),
        (lambda o, t: huber(o, t) * torch.nan, "returns nan for finite outputs; must return a finite loss"),
        (lambda o, t: huber(o, t) + torch.inf, "returns inf for finite outputs"),
        (lambda o, t: (o - o).sqrt().mean(), "the gradient of its loss, 0, by the outputs is not finite"),
        (lambda o, t: huber(o.detach(), t), "does not depend on the outputs in a way that can be differentiated"),
        (lambda o, t: torch.tensor(1.0), "does not depend on the outputs"),
        (lambda o, t: ((o[:, 0] - t[:, :1]) ** 2).mean(), r"returns the same when the labels are reordered"),
        (overwrites, "its gradient by the outputs cannot be computed: RuntimeError: one of the variables needed"),
        (Exits.apply, "its gradient by the outputs cannot be computed: SystemExit: 3"),
        (lambda o, t: functional.mse_loss(o, t, reduction="sum"), r"returns the sum over the batch .* use mean\(\)"),
    ],
)  # fmt: skip
def test_a_loss_that_cannot_be_trained_by_is_refused_by_its_name(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(UserCodeError, match=f"train.loss = 'pkg.mod:f': .*{message}"):
        tried(function)


def test_a_sound_loss_passes_and_leaves_no_trace() -> None:
    def sound(outputs: Tensor, targets: Tensor) -> Tensor:
        seen.append((outputs.shape, targets.shape))
        torch.rand(1)
        return huber(outputs, targets)

    seen: list[Any] = []
    torch.manual_seed(3)
    module, given = nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3)), examples(TARGETS.clone())
    before, state = torch.get_rng_state(), {name: value.clone() for name, value in module.state_dict().items()}
    check_loss(UsersLoss("pkg.mod:f", sound), module, given, 8)
    assert torch.equal(torch.get_rng_state(), before)
    assert module.training
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert torch.equal(given.train_labels, TARGETS)
    assert seen == [((count, 3), (count, 3)) for count in (8, 16, 8, 8)]
    tried(hinge, LABELS)
    tried(lambda o, t: 0 * huber(o, t))
    tried(lambda o, t: huber(o[:, 0], t[:, 0]))
    tried(lambda o, t: huber(o.mean(0), t.mean(0)), torch.ones(17, 3))


def test_labels_that_are_broadcast_are_found() -> None:
    """One number to predict: labels are (n, 1), and a function that squeezes the outputs alone takes all pairs."""
    message = (
        r"returns the same when .* outputs are \(n, 1\) and labels \(n, 1\), and \(n,\) beside \(n, 1\) is broadcast"
    )
    with pytest.raises(UserCodeError, match=message):
        tried(lambda o, t: ((o.squeeze(-1) - t) ** 2).mean(), TARGETS[:, :1], 1)
    tried(lambda o, t: ((o - t) ** 2).mean(), TARGETS[:, :1], 1)
    module = nn.Linear(5, 1)
    nn.init.zeros_(module.weight)  # all outputs are the same, whichever label is whose
    check_loss(UsersLoss("pkg.mod:f", huber), module, examples(TARGETS[:, :1]), 8)


def test_outputs_that_are_not_finite_are_not_the_losss_doing() -> None:
    module = nn.Linear(5, 3)
    nn.init.constant_(module.bias, torch.nan)
    check_loss(UsersLoss("pkg.mod:f", huber), module, examples(TARGETS), 8)


def test_the_function_is_found_by_its_name(module: Callable[[str, str], str]) -> None:
    name = module("losses", "def half(outputs, targets):\n    return 0.5 * (outputs - targets).square().mean()\n")
    recipe = TrainConfig(loss=f"{name}:half")
    assert not is_plain_cross_entropy(recipe)
    task = task_of(recipe)
    assert task.name == f"{name}:half"
    assert task.loss(torch.zeros(2, 1), torch.full((2, 1), 2.0)) == 2.0
    with pytest.raises(InputError, match="has no function 'halves'; did you mean 'half'"):
        task_of(TrainConfig(loss=f"{name}:halves"))
