"""A candidate's gradients and Hessian products, against plain autograd over a module of the same values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from candidates import CLASSES, after_round, at_start, inputs_of, mlp, normalised
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from tickets.candidate import Batch, Candidate

WIDE = torch.float64


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
