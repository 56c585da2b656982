"""A candidate's gradients and Hessian products, against plain autograd over a module of the same values."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from candidates import CLASSES, after_round, at_start, candidates_of, examples_of, inputs_of, values_of
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from tickets.candidate import Batch, Candidate
from tickets.evaluator import Evaluator

WIDE = torch.float64


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, CLASSES))


def normalised() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 4)),
        nn.Conv1d(1, 3, 2),
        nn.BatchNorm1d(3),
        nn.Softplus(),
        nn.Flatten(),
        nn.Linear(9, CLASSES),
    )


def dropping() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, CLASSES))


class Tokens(nn.Module):
    def __init__(self, sparse: bool = False) -> None:
        super().__init__()
        self.embedding, self.out = nn.Embedding(6, 3, sparse=sparse), nn.Linear(3, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.embedding(x).mean(1).tanh())


class Recurrent(nn.Module):
    def __init__(self, kind: Any = nn.GRU) -> None:
        super().__init__()
        self.cell, self.out = kind(2, 3, batch_first=True), nn.Linear(3, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.cell(x.unflatten(1, (2, 2)))[0][:, -1])


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.out = nn.MultiheadAttention(2, 1, batch_first=True), nn.Linear(2, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unflatten(1, (2, 2))
        return self.out(self.attention(x, x, x, need_weights=False)[0].mean(1))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, CLASSES)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.second(self.first(x).tanh()).tanh())


class PartlyFrozen(nn.Module):
    """One layer is frozen, one is reached by no loss."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.unused, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, CLASSES)
        self.frozen.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.frozen(x).tanh())


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


def plain(
    module: nn.Module, values: dict[str, Tensor], names: list[str], batch: Batch, dtype: torch.dtype = WIDE
) -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    """The loss as a function of the named parameters, and where these are."""
    module = module.to(dtype)
    wide = {name: value.to(dtype) if value.is_floating_point() else value for name, value in values.items()}
    inputs = batch.inputs.to(dtype) if batch.inputs.is_floating_point() else batch.inputs

    def loss(*point: Tensor) -> Tensor:
        there = {name: value.clone() for name, value in wide.items()} | dict(zip(names, point, strict=True))
        return functional.cross_entropy(functional_call(module, there, (inputs.clone(),)), batch.targets)

    return loss, tuple(wide[name].clone().requires_grad_() for name in names)


CASES = [
    (mlp, (), True),
    (normalised, (), True),
    (normalised, (), False),
    (Tokens, ("embedding.weight",), True),
    (Recurrent, ("cell.weight_*",), True),
    (lambda: Recurrent(nn.LSTM), ("cell.weight_*",), True),
    (Attention, ("attention.in_proj_weight",), True),
    (Tied, (), True),
]


def case(build: Callable[[], nn.Module], include: tuple[str, ...]) -> Candidate:
    inputs = torch.arange(90).reshape(30, 3) % 6 if build is Tokens else inputs_of(4)
    return after_round(build, inputs, include=include)


@pytest.mark.parametrize(("build", "include", "training"), CASES)
def test_gradients_and_hessian_products_are_those_of_plain_autograd(
    build: Callable[[], nn.Module], include: tuple[str, ...], training: bool
) -> None:
    candidate = case(build, include)
    names, batch = list(candidate.mask), candidate.batch()
    loss, point = plain(build().train(training), candidate.values.trained, names, batch)
    expected = torch.autograd.grad(loss(*point), point)
    direction = {name: torch.randn(mask.shape, dtype=WIDE) for name, mask in candidate.mask.items()}
    with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
        curved = torch.autograd.functional.hvp(loss, point, tuple(direction.values()))[1]
    found = candidate.gradients(training=training, dtype=WIDE)
    product = candidate.hessian_product(direction, training=training, dtype=WIDE)
    assert list(found) == list(product) == names
    assert candidate.loss(training=training, dtype=WIDE) == pytest.approx(float(loss(*point).detach()), rel=1e-12)
    for name, gradient, curvature in zip(names, expected, curved, strict=True):
        torch.testing.assert_close(found[name], gradient, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(product[name], curvature, rtol=1e-8, atol=1e-10)
        assert not found[name].requires_grad


def test_without_a_dtype_the_models_own_is_used_and_nothing_is_rounded_on_the_way() -> None:
    candidate = after_round(mlp, inputs_of(4))
    loss, point = plain(mlp(), candidate.values.trained, list(candidate.mask), candidate.batch(), torch.float32)
    for found, expected in zip(candidate.gradients().values(), torch.autograd.grad(loss(*point), point), strict=True):
        assert found.dtype == torch.float32
        assert torch.equal(found, expected)


def test_the_values_may_be_any() -> None:
    candidate = after_round(mlp, inputs_of(4))
    at = {name: value + 1 for name, value in candidate.values.initial.items()}
    loss, point = plain(mlp(), at, list(candidate.mask), candidate.batch())
    expected = torch.autograd.grad(loss(*point), point)
    for found, gradient in zip(candidate.gradients(at, dtype=WIDE).values(), expected, strict=True):
        torch.testing.assert_close(found, gradient, rtol=1e-10, atol=1e-12)
    initial = candidate.gradients(candidate.values.initial)
    assert torch.equal(initial["0.weight"], at_start(mlp, inputs_of(4)).gradients()["0.weight"])
    assert not torch.equal(initial["0.weight"], candidate.gradients()["0.weight"])


def test_pruned_weights_have_a_gradient_too() -> None:
    mask = {"0.weight": torch.arange(20).reshape(5, 4) % 2 == 0, "2.weight": torch.ones(3, 5, dtype=torch.bool)}
    candidate = after_round(mlp, inputs_of(4), mask=mask)
    assert (candidate.trained["0.weight"][~mask["0.weight"]] == 0).all()
    assert (candidate.gradients()["0.weight"] != 0).all()


def test_frozen_parameters_are_constants_and_those_that_no_loss_reaches_have_the_gradient_0() -> None:
    candidate = after_round(PartlyFrozen, inputs_of(4))
    gradients = candidate.gradients()
    product = candidate.hessian_product(gradients)
    assert list(gradients) == list(product) == ["unused.weight", "out.weight"]
    for found in (gradients, product):
        assert torch.equal(found["unused.weight"], torch.zeros(4, 4))
        assert found["out.weight"].norm() > 0


def test_a_loss_that_depends_on_nothing_has_the_gradient_0() -> None:
    def constant(outputs: Tensor, targets: Tensor) -> Tensor:
        return torch.ones(())

    candidate = after_round(mlp, inputs_of(4))
    for found in (
        candidate.gradients(objective=constant),
        candidate.hessian_product(candidate.trained, objective=constant),
    ):
        assert all(torch.equal(value, torch.zeros_like(value)) for value in found.values())
    linear = candidate.hessian_product(candidate.trained, objective=lambda outputs, targets: outputs.mean())
    assert torch.equal(linear["2.weight"].isnan(), torch.zeros(3, 5, dtype=torch.bool))


def test_gradients_of_an_embedding_that_are_sparse_are_returned_dense() -> None:
    dense, sparse = (
        after_round(lambda kind=kind: Tokens(kind), torch.arange(90).reshape(30, 3) % 6, include=("embedding.weight",))
        for kind in (False, True)
    )
    found = sparse.gradients()["embedding.weight"]
    assert found.layout == torch.strided
    assert torch.equal(found, dense.gradients()["embedding.weight"])


def test_layers_that_are_computed_anew_on_the_way_back_have_their_gradients() -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.out = nn.Linear(4, 5), nn.Linear(5, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(checkpoint(lambda y: self.first(y).tanh(), x.requires_grad_(), use_reentrant=True))

    found = after_round(Checkpointed, inputs_of(4)).gradients()["first.weight"]
    assert torch.equal(found, after_round(mlp, inputs_of(4)).gradients()["0.weight"])


# Nothing that an evaluation does is seen by another one.


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


# Pieces


def test_more_examples_than_a_batch_are_the_mean_of_pieces() -> None:
    candidate = after_round(normalised, inputs_of(4))
    whole = candidate.batch(25)
    pieces = [Batch(*part) for part in zip(whole.inputs.tensor_split(3), whole.targets.tensor_split(3), strict=True)]
    assert [len(piece) for piece in pieces] == [9, 8, 8]
    direction = candidate.trained
    for training in (True, False):
        found = candidate.gradients(examples=whole, training=training, dtype=WIDE)
        product = candidate.hessian_product(direction, examples=25, training=training, dtype=WIDE)
        each = [candidate.gradients(examples=piece, training=training, dtype=WIDE) for piece in pieces]
        curved = [candidate.hessian_product(direction, examples=p, training=training, dtype=WIDE) for p in pieces]
        for name in found:
            for one, parts in ((found, each), (product, curved)):
                mean = sum(part[name] * len(piece) / 25 for part, piece in zip(parts, pieces, strict=True))
                torch.testing.assert_close(one[name], mean, rtol=1e-12, atol=1e-15)
    loss, point = plain(normalised().eval(), candidate.values.trained, list(found), whole)
    assert candidate.loss(examples=whole, training=False, dtype=WIDE) == pytest.approx(
        float(loss(*point).detach()), rel=1e-12
    )
    assert candidate.logits(examples=whole).shape == (25, CLASSES)
    torch.testing.assert_close(candidate.logits(examples=whole), candidate.build().eval()(whole.inputs))


# Examples


def test_a_larger_batch_contains_every_smaller_one_and_rounds_share_it() -> None:
    inputs = torch.arange(30.0)[:, None].expand(30, 4).contiguous()
    one, later, other = (after_round(mlp, inputs, number=n, replicate=r) for n, r in ((0, 0), (5, 0), (0, 1)))
    whole = one.batch(30)
    assert sorted(whole.inputs[:, 0].tolist()) == list(range(30))
    assert torch.equal(whole.targets, whole.inputs[:, 0].long() % CLASSES)
    assert torch.equal(one.batch(7).inputs, whole.inputs[:7])
    assert torch.equal(one.batch().inputs, whole.inputs[:10])  # train.batch_size
    assert torch.equal(later.batch(30).inputs, whole.inputs)
    assert not torch.equal(other.batch(30).inputs, whole.inputs)


def test_as_many_of_each_class() -> None:
    candidate = after_round(mlp, inputs_of(4))
    batch, whole = candidate.batch(per_class=4), candidate.batch(30)
    assert batch.targets.bincount().tolist() == [4, 4, 4]
    for each in range(CLASSES):
        assert torch.equal(batch.inputs[batch.targets == each], whole.inputs[whole.targets == each][:4])


def test_what_is_no_batch_is_refused() -> None:
    candidate = after_round(mlp, inputs_of(4))
    for wrong, told in (
        ({"examples": 0}, "examples = 0: must be from 1 to 30, the training examples"),
        ({"examples": 31}, "examples = 31: must be from 1 to 30, the training examples"),
        ({"per_class": 11}, "per_class = 11: must be from 1 to 10, the training examples of class 0"),
        ({"examples": 3, "per_class": 3}, "examples = 3, per_class = 3: give only one"),
    ):
        with pytest.raises(ValueError, match=re.escape(told)):
            candidate.batch(**wrong)
    with pytest.raises(ValueError, match="2 inputs and 1 targets"):
        Batch(torch.zeros(2, 4), torch.zeros(1))
    numbers = Evaluator(mlp, examples_of(inputs_of(4)), functional.mse_loss, 10, 0, torch.device("cpu"))
    numbers.examples.train_labels.data = torch.rand(30)
    with pytest.raises(ValueError, match=r"per_class = 2: the targets are torch\.float32, no classes"):
        numbers.batch(per_class=2)


# What is given


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda values: {name: value for name, value in values.items() if name != "0.bias"},
            "without 0.bias; must",
        ),
        (lambda values: {**values, "w": torch.zeros(1)}, "with the unknown w; must have exactly 0.weight, 0.bias, 2.w"),
        (
            lambda values: {**values, "0.bias": torch.zeros(4)},
            "0.bias is of shape (4,); must be a tensor of",
        ),
        (lambda values: {**values, "0.bias": [0.0] * 5}, "0.bias is a list; must be a tensor of shape (5,)"),
        (lambda values: list(values), "must be tensors by name, not a list"),
    ],
)
def test_values_of_other_names_or_shapes_are_refused(change: Any, told: str) -> None:
    candidate = after_round(mlp, inputs_of(4))
    with pytest.raises(ValueError, match=re.escape(f"gradients(values): {told}")):
        candidate.gradients(change(candidate.values.trained))


def test_directions_and_scores_are_of_the_prunable_tensors() -> None:
    candidate = after_round(mlp, inputs_of(4))
    for call, told in (
        (lambda: candidate.hessian_product({"0.weight": torch.zeros(5, 4)}), "hessian_product(direction): without 2.w"),
        (lambda: candidate.prune(candidate.values.trained), "prune(scores): with the unknown 0.bias, 2.bias"),
        (lambda: candidate.gradients(candidate.trained), "gradients(values): without 0.bias, 2.bias"),
    ):
        with pytest.raises(ValueError, match=re.escape(told)):
            call()


def test_an_objective_of_many_numbers_and_a_type_that_has_no_gradient_are_refused() -> None:
    candidate = after_round(mlp, inputs_of(4))
    with pytest.raises(ValueError, match=r"objective returned a tensor of shape \(10, 3\); it must"):
        candidate.gradients(objective=lambda outputs, targets: outputs)
    with pytest.raises(ValueError, match="objective returned a float"):
        candidate.gradients(objective=lambda outputs, targets: 1.0)
    with pytest.raises(ValueError, match=r"dtype = torch\.float16: must be torch\.float32 or torch\.float64"):
        candidate.gradients(dtype=torch.float16)


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
