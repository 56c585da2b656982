"""A score gets copies, and what it returns is checked."""

from __future__ import annotations

import math
import random
import re
import sys
from typing import Any

import numpy as np
import pytest
import torch
from candidates import candidates_of, inputs_of
from torch import Tensor, nn

from tickets.candidate import Candidate, Ends
from tickets.errors import UserCodeError
from tickets.scores import by_tensor
from tickets.scoring import scores_of
from tickets.stack.architecture import prunable

ALIVE = torch.tensor([[True, True, False], [True, True, True]])


def net() -> nn.Module:
    return nn.Linear(3, 2, bias=False)


def candidate_of(trained: float | None = None) -> Candidate:
    """The weights go from 0, 1, ..., 5 to 1, 2, ..., 6."""
    initial = torch.arange(6.0).reshape(2, 3)
    moved = initial + 1
    if trained is not None:
        moved[0, 0] = trained
    ends = Ends({"weight": initial}, {"weight": moved}, {"weight": initial})
    made = candidates_of(net, inputs_of(3), classes=2)
    return made.after_round(3, 1, ends, {"weight": ALIVE}, prunable(net()))


def scored(score: Any, given: Candidate | None = None, **options: Any) -> Tensor:
    found = scores_of(score, given or candidate_of(), "prune.score = 'm:f'", "round 3, replicate 1", **options)
    assert list(found) == ["weight"]
    return found["weight"]


def lifted(score: Any) -> Any:
    return by_tensor(score)


def test_a_score_that_writes_into_its_tensors_changes_nothing() -> None:
    given = candidate_of()

    def writes(candidate: Candidate) -> dict[str, Tensor]:
        for tensors in (candidate.initial, candidate.trained, candidate.values.initial, candidate.values.trained):
            for tensor in tensors.values():
                tensor.fill_(7)
        candidate.mask["weight"].fill_(False)
        candidate.mask.clear()
        weights = candidate.weights("weight")
        assert weights.trained.tolist() == [[1, 2, 3], [4, 5, 6]]
        weights.mask.fill_(False)
        return {"weight": weights.trained.neg_()}

    assert scored(writes, given).tolist() == [[-1, -2, -3], [-4, -5, -6]]
    weights = given.weights("weight")
    assert weights.initial.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert weights.trained.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert torch.equal(weights.mask, ALIVE)
    assert given.prune({"weight": weights.trained}, 0.0)["weight"].tolist() == ALIVE.tolist()


@pytest.mark.parametrize(
    ("score", "told"),
    [
        (lambda some: [1, 2], "returned a list, must return a tensor of shape (2, 3),"),
        (lambda some: None, "returned a NoneType, must return a tensor of shape (2, 3),"),
        (lambda some: some.trained.abs().numpy(), "returned a ndarray, must return a tensor of shape (2, 3),"),
        (lambda some: some.trained[0], "returned a tensor of shape (3,), must be (2, 3), one number for each weight,"),
        (lambda some: some.trained.sum(), "returned a tensor of shape (), must be (2, 3), one number for each weight,"),
        (lambda some: some.trained.T, "returned a tensor of shape (3, 2), must be (2, 3), one number for each weight,"),
        (lambda some: some.trained + 1j, "returned numbers of type torch.complex64, must be real"),
        (lambda some: some.trained > 2, "returned numbers of type torch.bool, must be real"),
        (
            lambda some: some.trained.to("meta"),
            "returned a tensor that is meta, must return an ordinary tensor on the cpu,",
        ),
        (lambda some: some.trained.to_sparse(), "returned a tensor that is torch.sparse_coo, must return an ordinary"),
        (
            lambda some: (some.initial - 3).sqrt(),
            "returned NaN for 2 of 5 surviving weights, must be a number for each,",
        ),
    ],
)
def test_what_is_no_score_names_the_function_the_tensor_and_the_round(score: Any, told: str) -> None:
    with pytest.raises(UserCodeError, match=re.escape(f"prune.score = 'm:f': {told}")) as caught:
        scored(lifted(score))
    assert str(caught.value).endswith("for weight (round 3, replicate 1)")


@pytest.mark.parametrize(
    ("score", "told"),
    [
        (
            lambda some: [1, 2],
            "returned a list, must return a tensor for each of weight, by name (round 3",
        ),
        (
            lambda some: some.trained["weight"],
            "returned a Tensor, must return a tensor for each of weight, by name; if it scores one tensor's weights, "
            "decorate it with tickets.scores.by_tensor",
        ),
        (lambda some: {}, "returned nothing for weight, must return a tensor for each of weight (round 3"),
        (lambda some: {**some.trained, "bias": 1}, "returned scores for bias, must return them for weight and nothing"),
        (lambda some: 1 / 0, "fails (round 3, replicate 1): ZeroDivisionError: division by zero"),
        (lambda some: sys.exit(3), "fails (round 3, replicate 1): SystemExit: 3"),
        (lambda some: some.trained.abs(), "decorate it with tickets.scores.by_tensor"),
    ],
)
def test_a_score_returns_a_tensor_for_each_name_and_nothing_else(score: Any, told: str) -> None:
    with pytest.raises(UserCodeError, match=re.escape(told)) as caught:
        scored(score)
    assert str(caught.value).startswith("prune.score = 'm:f': ")


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float16, torch.bfloat16, torch.float64])
def test_every_real_type_is_a_score(dtype: torch.dtype) -> None:
    assert scored(lifted(lambda some: some.trained.to(dtype))).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_infinite_scores_rank_and_parameters_are_scores() -> None:
    assert scored(lifted(lambda some: some.trained / 0))[0, 0] == math.inf
    assert not scored(lifted(lambda some: nn.Parameter(some.trained))).requires_grad


def test_nan_where_a_weight_is_pruned_does_not_matter() -> None:
    found = scored(lifted(lambda some: torch.where(ALIVE, some.trained, torch.nan)))
    assert found.isnan().sum() == 1


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_a_training_that_diverged_may_have_scores_of_nan(lost: float) -> None:
    given = candidate_of(lost)
    expected = (given.trained["weight"] * 0).isnan()
    assert torch.equal(scored(lifted(lambda some: some.trained * 0), given).isnan(), expected)


def test_scores_may_be_nan_where_the_caller_says_so() -> None:
    assert scored(lifted(lambda some: some.trained * math.nan), may_be_nan=True).isnan().all()


def test_global_generators_are_seeded_for_a_score_and_left_as_they_were() -> None:
    def draws(candidate: Candidate) -> dict[str, Tensor]:
        return {"weight": torch.rand(2, 3) + np.random.random() + random.random()}

    given = candidate_of()
    torch.manual_seed(1)
    before = torch.default_generator.get_state()
    one = scored(draws, given)
    assert torch.equal(torch.default_generator.get_state(), before)
    torch.manual_seed(2)
    np.random.seed(3)
    random.seed(4)
    assert torch.equal(scored(draws), one)


def test_settings_of_a_score_end_with_it() -> None:
    def sets(candidate: Candidate) -> dict[str, Tensor]:
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        return candidate.trained

    scored(sets)
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
