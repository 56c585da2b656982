"""SNIP and GraSP on a network of two layers, against plain autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from candidates import CLASSES, CPU, after_round, at_start, inputs_of
from torch import Tensor, nn
from torch.nn import functional

from tickets.candidate import Candidate
from tickets.config import parse_run
from tickets.data import Examples
from tickets.errors import InputError
from tickets.scores import named_score
from tickets.scores.saliency import batch_of, grasp, snip
from tickets.scoring import scores_of
from tickets.selection import Candidates, mask_at_start

NAMES = ("0.weight", "2.weight")


def net(outputs: int = CLASSES) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, outputs))


def loss_of(values: dict[str, Tensor], weights: tuple[Tensor, Tensor], batch: Any, temperature: float) -> Tensor:
    """Cross-entropy of two layers written out; weights: those of the two layers."""
    hidden = torch.tanh(batch.inputs @ weights[0].T + values["0.bias"])
    return functional.cross_entropy((hidden @ weights[1].T + values["2.bias"]) / temperature, batch.targets)


def plain_snip(values: dict[str, Tensor], batch: Any) -> list[Tensor]:
    weights = tuple(values[name].clone().requires_grad_() for name in NAMES)
    gradients = torch.autograd.grad(loss_of(values, weights, batch, 1.0), weights)
    return [(weight * gradient).detach().abs() for weight, gradient in zip(weights, gradients, strict=True)]


def plain_grasp(values: dict[str, Tensor], batch: Any, mask: dict[str, Tensor], temperature: float) -> list[Tensor]:
    """theta * (H g) with the whole Hessian of the surviving weights, column by column."""

    def loss(*weights: Tensor) -> Tensor:
        return loss_of(values, weights, batch, temperature)  # type: ignore[arg-type]

    weights = tuple(values[name] for name in NAMES)
    alive = torch.cat([mask[name].reshape(-1) for name in NAMES])
    gradient = torch.cat([g.reshape(-1) for g in torch.autograd.functional.jacobian(loss, weights)]) * alive
    blocks = torch.autograd.functional.hessian(loss, weights)
    rows = [torch.cat([b.reshape(w.numel(), -1) for b in row], 1) for w, row in zip(weights, blocks, strict=True)]
    hessian = torch.cat(rows)
    flat = torch.cat([w.reshape(-1) for w in weights]) * (hessian @ gradient)
    return [part.reshape(w.shape) for part, w in zip(flat.split([w.numel() for w in weights]), weights, strict=True)]


def flat(tensors: Any) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in (tensors.values() if isinstance(tensors, dict) else tensors)])


def candidates() -> list[Candidate]:
    """Before any training, and after a round with a mask whose theta0 is neither where it began nor ended."""
    mask = {"0.weight": torch.arange(12).reshape(4, 3) % 3 > 0, "2.weight": torch.arange(12).reshape(3, 4) % 2 == 0}
    return [at_start(net, inputs_of(3, examples=90)), after_round(net, inputs_of(3, examples=90), mask=mask)]


@pytest.mark.parametrize("at", ["theta0", "trained"])
@pytest.mark.parametrize("which", [0, 1])
def test_snip_is_the_size_of_weight_times_gradient(which: int, at: Any) -> None:
    candidate = candidates()[which]
    values, batch = dict(candidate.values.at(at)), candidate.batch(per_class=10)
    assert len(batch) == 30
    found, expected = snip(candidate, at=at), plain_snip(values, batch)
    torch.testing.assert_close(flat(found), flat(expected), rtol=1e-5, atol=1e-9)
    assert torch.equal(flat(snip(candidate, at=at, per_class=10)), flat(found))
    assert (flat(found)[~flat(candidate.mask)] == 0).all()


def test_snip_is_one_ranking_over_both_layers_with_an_exact_count() -> None:
    candidate = at_start(net, inputs_of(3, examples=90), density=0.3)
    expected = flat(plain_snip(dict(candidate.values.theta0), candidate.batch(per_class=10)))
    kept = flat(mask_at_start("snip", candidate))
    assert int(kept.sum()) == candidate.budget.total == round(3.6) + round(3.6)
    assert expected[kept].min() >= expected[~kept].max()


@pytest.mark.parametrize("at", ["theta0", "trained"])
@pytest.mark.parametrize("which", [0, 1])
def test_grasp_is_weight_times_hessian_times_gradient_of_the_survivors(which: int, at: Any) -> None:
    candidate = candidates()[which]
    values, batch = dict(candidate.values.at(at)), candidate.batch(per_class=2)
    for temperature in (200.0, 3.0):
        found = grasp(candidate, at=at, per_class=2, temperature=temperature)
        expected = plain_grasp(values, batch, candidate.mask, temperature)
        torch.testing.assert_close(flat(found), flat(expected), rtol=1e-3, atol=flat(expected).abs().max() * 1e-5)


def test_grasp_keeps_the_weights_whose_removal_takes_most_from_the_gradient_flow() -> None:
    """The sign in words: a small step that shrinks the weights with high scores makes the squared gradient smaller.

    One that shrinks those with low, negative scores makes it larger. The former stay, the latter go.
    """
    candidate = at_start(net, inputs_of(3, examples=90), density=0.25)
    values, batch = dict(candidate.values.theta0), candidate.batch(per_class=10)
    kept = mask_at_start("grasp", candidate, {"temperature": 1.0})
    scores = grasp(candidate, temperature=1.0)

    def flow(shrunk: dict[str, Tensor]) -> float:
        """g'g with the weights in the masks 0.1 % smaller."""
        weights = tuple((values[name] * (1 - 0.001 * shrunk[name])).double().requires_grad_() for name in NAMES)
        wide = {name: value.double() for name, value in values.items()}
        double = type(batch)(batch.inputs.double(), batch.targets)
        gradients = torch.autograd.grad(loss_of(wide, weights, double, 1.0), weights)
        return float(sum((g * g).sum() for g in gradients))

    lowest = {name: score < 0 for name, score in scores.items()}
    highest = {name: kept[name] & (scores[name] > 0) for name in NAMES}
    dense = flow({name: torch.zeros_like(kept[name]) for name in NAMES})
    assert flow(highest) < dense < flow(lowest)
    assert flat(scores)[flat(kept)].min() >= flat(scores)[~flat(kept)].max()


# The examples


def regression() -> Candidate:
    targets = torch.randn(40, 2, generator=torch.Generator().manual_seed(1))
    examples = Examples(*(part for _ in range(3) for part in (inputs_of(3, examples=40), targets)), classes=2)
    run = parse_run({"name": "t", "data": "digits", "model": "a:b", "train": {"batch_size": 10, "loss": "mse"}})
    made = Candidates(run, lambda: net(2), examples, CPU)
    theta0 = {name: value.detach().clone() for name, value in net(2).named_parameters()}
    mask = {name: torch.arange(theta0[name].numel()).reshape(theta0[name].shape) % 2 == 0 for name in NAMES}
    return made.at_start(1, 0, theta0, mask, "global", 0)


def test_by_default_there_are_ten_examples_of_each_class_or_as_many_as_the_rarest_has() -> None:
    many, few = (at_start(net, inputs_of(3, examples=count)) for count in (90, 12))
    assert batch_of(many, None, None).targets.bincount().tolist() == [10, 10, 10]
    assert batch_of(few, None, None).targets.bincount().tolist() == [4, 4, 4]
    assert len(batch_of(many, 17, None)) == 17


def test_for_regression_there_are_as_many_examples_as_in_a_batch_of_training() -> None:
    candidate = regression()
    assert candidate.rarest_class is None
    assert len(batch_of(candidate, None, None)) == 10
    batch, values = candidate.batch(), candidate.values.theta0
    weights = tuple(values[name].clone().requires_grad_() for name in NAMES)
    hidden = torch.tanh(batch.inputs @ weights[0].T + values["0.bias"])
    for temperature, found in ((1.0, snip(candidate)), (200.0, None)):
        loss = functional.mse_loss((hidden @ weights[1].T + values["2.bias"]) / temperature, batch.targets)
        first = torch.autograd.grad(loss, weights, create_graph=True)
        second = torch.autograd.grad(sum((g * g.detach()).sum() for g in first), weights, retain_graph=True)
        expected = [(w * (g if found else h)).detach() for w, g, h in zip(weights, first, second, strict=True)]
        given = flat(found) if found else flat(grasp(candidate))
        wanted = flat(expected).abs() if found else flat(expected)
        torch.testing.assert_close(given, wanted, rtol=1e-3, atol=float(wanted.abs().max()) * 1e-5)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"per_class": 31}, r"score = 's': per_class = 31: must be from 1 to 30, the training examples of class 0"),
        ({"examples": 91}, r"score = 's': examples = 91: must be from 1 to 90, the training examples"),
        ({"examples": 9, "per_class": 9}, r"score = 's': examples = 9, per_class = 9: give only one"),
    ],
)
@pytest.mark.parametrize("name", ["snip", "grasp"])
def test_more_examples_than_there_are_are_refused(name: str, options: dict[str, int], told: str) -> None:
    with pytest.raises(InputError, match=told):
        scores_of(named_score(name, options), candidates()[0], "score = 's'", "now")


def test_where_the_targets_are_no_classes_per_class_is_refused() -> None:
    with pytest.raises(InputError, match=r"per_class = 3: the targets are torch.float32, no classes; give examples"):
        scores_of(named_score("snip", {"per_class": 3}), regression(), "score = 's'", "now")
