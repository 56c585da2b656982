"""The criteria of Zhou et al. 2019 on one table of six weights, worked out by hand."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from candidates import candidates_of, inputs_of
from torch import Tensor, nn

from tickets.candidate import Candidate, Ends
from tickets.pruning import Budget, prune
from tickets.scores import by_tensor, named_score
from tickets.stack.architecture import prunable

#         0     1    2     3      4      5
THETA0 = [1.0, -2.0, 0.0, 3.0, -1.0, 0.5]
TRAINED = [-2.0, -1.0, 4.0, 3.5, -0.25, 0.75]

# The score of each weight, and the three that stay: among equal scores the lower index.
TABLE = [
    ("magnitude", {}, [2, 1, 4, 3.5, 0.25, 0.75], {0, 2, 3}),
    ("large_final", {}, [2, 1, 4, 3.5, 0.25, 0.75], {0, 2, 3}),
    ("small_final", {}, [-2, -1, -4, -3.5, -0.25, -0.75], {1, 4, 5}),
    ("large_init", {}, [1, 2, 0, 3, 1, 0.5], {0, 1, 3}),
    ("small_init", {}, [-1, -2, 0, -3, -1, -0.5], {0, 2, 5}),
    ("large_init_large_final", {}, [1, 1, 0, 3, 0.25, 0.5], {0, 1, 3}),
    ("large_init_large_final", {"a": 0.125}, [0.25, 0.125, 0, 0.4375, 0.03125, 0.09375], {0, 1, 3}),
    ("small_init_small_final", {}, [-2, -2, -4, -3.5, -1, -0.75], {0, 4, 5}),
    ("small_init_small_final", {"a": 0.25}, [-1, -2, -1, -3, -1, -0.5], {0, 2, 5}),
    ("magnitude_increase", {}, [1, -1, 4, 0.5, -0.75, 0.25], {0, 2, 3}),
    ("magnitude_increase", {"a": 0.25}, [-0.5, -1.75, 1, -2.125, -0.9375, -0.3125], {0, 2, 5}),
    ("movement", {}, [3, 1, 4, 0.5, 0.75, 0.25], {0, 1, 2}),
    ("large_final_same_sign", {}, [0, 1, 0, 3.5, 0.25, 0.75], {1, 3, 5}),
    ("large_final_diff_sign", {}, [2, 0, 0, 0, 0, 0], {0, 1, 2}),
]


def net() -> nn.Module:
    return nn.Linear(3, 2, bias=False)


def candidate(mask: Tensor | None = None) -> Candidate:
    """A round that started from 9 everywhere, as after rewinding to a later step: no criterion may use it."""
    alive = torch.ones(2, 3, dtype=torch.bool) if mask is None else mask
    tensors = (torch.full((2, 3), 9.0), *(torch.tensor(values).reshape(2, 3) for values in (TRAINED, THETA0)))
    ends = Ends(*({"weight": tensor * alive} for tensor in tensors))
    return candidates_of(net, inputs_of(3), classes=2).after_round(1, 0, ends, {"weight": alive}, prunable(net()))


@pytest.mark.parametrize(("name", "options", "scores", "stay"), TABLE)
def test_each_criterion_has_its_scores_and_its_mask(
    name: str, options: dict[str, float], scores: list[float], stay: set[int]
) -> None:
    given = candidate()
    found = named_score(name, options)(given)
    assert torch.equal(found["weight"].reshape(-1), torch.tensor(scores, dtype=torch.float32))
    kept = prune(found, given.mask, Budget(3))["weight"].reshape(-1)
    assert set(kept.nonzero()[:, 0].tolist()) == stay


@pytest.mark.parametrize("name", sorted({row[0] for row in TABLE}))
def test_a_pruned_weight_stays_pruned_whatever_its_score(name: str) -> None:
    alive = torch.tensor([[False, True, True], [True, True, True]])
    given = candidate(alive)
    kept = prune(named_score(name)(given), given.mask, Budget(4))["weight"]
    assert int(kept.sum()) == 4
    assert not kept[~alive].any()


@pytest.mark.parametrize("name", ["large_final_same_sign", "large_final_diff_sign"])
def test_a_weight_that_began_at_0_has_no_sign_to_keep_and_the_score_0(name: str) -> None:
    assert named_score(name)(candidate())["weight"][0, 2].item() == 0.0


def test_the_values_before_any_training_are_the_candidates_copies() -> None:
    given = candidate()
    seen = []

    @by_tensor
    def writes(weights: object) -> Tensor:
        seen.append(weights)
        return weights.theta0.fill_(7)  # type: ignore[attr-defined]

    writes(given)
    assert [field.name for field in dataclasses.fields(seen[0])][:3] == ["initial", "trained", "theta0"]
    given.theta0["weight"].fill_(8)
    given.values.theta0["weight"].fill_(9)
    fresh = candidate()
    assert torch.equal(given.weights("weight").theta0, fresh.theta0["weight"])
    assert torch.equal(fresh.values.at("theta0")["weight"], torch.tensor(THETA0).reshape(2, 3))
    assert torch.equal(fresh.values.at("trained")["weight"], torch.tensor(TRAINED).reshape(2, 3))


def test_of_a_training_that_diverged_the_scores_are_nan_and_the_count_is_exact() -> None:
    given = candidate()
    given._ends.trained["weight"][0, 0] = torch.nan
    for name, options, *_ in TABLE:
        kept = given.prune(named_score(name, options)(given))["weight"]
        assert int(kept.sum()) == given.budget.total
