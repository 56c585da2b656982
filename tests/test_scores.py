"""A score gets copies, and what it returns is checked."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tickets.errors import InputError
from tickets.scores import Weights, magnitude, random, score_tensor

ALIVE = torch.tensor([[True, True, False], [True, True, True]])


def weights(trained: float | None = None) -> Weights:
    values = torch.arange(6.0).reshape(2, 3)
    moved = values + 1
    if trained is not None:
        moved[0, 0] = trained
    return Weights(values, moved, torch.Generator().manual_seed(0))


def scored(score: Any, given: Weights | None = None) -> Tensor:
    return score_tensor(score, "m:f", given or weights(), ALIVE, "fc.weight", "round 3, replicate 1")


def test_the_scores_of_the_catalogue() -> None:
    assert scored(magnitude).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert torch.equal(scored(random), torch.rand(2, 3, generator=torch.Generator().manual_seed(0)))


def test_a_score_that_writes_into_its_tensors_changes_nothing() -> None:
    given = weights()

    def writes(some: Weights) -> Tensor:
        some.initial.fill_(7)
        return some.trained.neg_()

    assert scored(writes, given).tolist() == [[-1, -2, -3], [-4, -5, -6]]
    assert given.initial.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert given.trained.tolist() == [[1, 2, 3], [4, 5, 6]]


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
    with pytest.raises(InputError, match=re.escape(f"prune.score = 'm:f': {told}")) as caught:
        scored(score)
    assert str(caught.value).endswith("for fc.weight (round 3, replicate 1)")


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float16, torch.bfloat16, torch.float64])
def test_every_real_type_is_a_score(dtype: torch.dtype) -> None:
    assert scored(lambda some: some.trained.to(dtype)).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_infinite_scores_rank_and_parameters_are_scores() -> None:
    assert scored(lambda some: some.trained / 0)[0, 0] == math.inf
    assert not scored(lambda some: nn.Parameter(some.trained)).requires_grad


def test_nan_where_a_weight_is_pruned_does_not_matter() -> None:
    found = scored(lambda some: torch.where(ALIVE, some.trained, torch.nan))
    assert found.isnan().sum() == 1


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_a_training_that_diverged_may_have_scores_of_nan(lost: float) -> None:
    given = weights(lost)
    assert torch.equal(scored(lambda some: some.trained * 0, given).isnan(), (given.trained * 0).isnan())
