"""ERK and uniform: how many weights each tensor keeps, by the formula and by hand; and at which places."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from candidates import CLASSES, after_round, at_start, inputs_of
from torch import Tensor, nn

from tickets.errors import InputError
from tickets.scores import named_score
from tickets.scores.layer_densities import erk, shares, uniform
from tickets.scoring import scores_of
from tickets.selection import mask_at_start


def mlp() -> nn.Module:
    """48, 40 and 15 weights; the sums of the sides are 14, 13 and 8."""
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, CLASSES))


def conv() -> nn.Module:
    """72 weights of sides 4, 3, 2, 3 (sum 12), and 48 of sides 3, 16 (sum 19)."""
    return nn.Sequential(nn.Unflatten(1, (3, 3, 4)), nn.Conv2d(3, 4, (2, 3)), nn.Flatten(), nn.Linear(16, CLASSES))


def counts(masks: dict[str, Tensor]) -> list[int]:
    return [int(mask.sum()) for mask in masks.values()]


def of(build: Callable[[], nn.Module], density: float, **more: Any) -> Any:
    return at_start(build, inputs_of(6 if build is mlp else 36), density=density, **more)


@pytest.mark.parametrize(
    ("build", "density", "expected"),
    [
        # 14 + 12 + 4 of 103: scale 30 / 35; 12.0, 11.14, 6.86; floors 12, 11, 6, and one for the third.
        (mlp, 0.3, [12, 11, 7]),
        # 43 + 36 + 14 (halves to even) = 93: all 15 of the third, for 21.3; then 78 / 27: 40.4, 37.6.
        (mlp, 0.9, [40, 38, 15]),
        # 24 + 20 + 8 = 52: 20.8, 19.31, 11.89; floors 20, 19, 11, and one for the third and the first.
        (mlp, 0.5, [21, 19, 12]),
        # 18 + 12 = 30: scale 30 / 31; 11.61, 18.39.
        (conv, 0.25, [12, 18]),
        # 58 + 38 = 96: all 48 of the second, for 58.8; 48 of the first.
        (conv, 0.8, [48, 48]),
        (mlp, 1.0, [48, 40, 15]),
        (mlp, 0.0, [0, 0, 0]),
    ],
)
def test_erk_has_the_counts_of_the_formula(build: Callable[[], nn.Module], density: float, expected: list[int]) -> None:
    candidate = of(build, density)
    masks = mask_at_start("erk", candidate)
    assert counts(masks) == expected
    assert sum(expected) == candidate.budget.total
    assert counts(mask_at_start("erk", of(build, density, seed=9))) == expected


def test_uniform_has_one_density_and_the_exact_total() -> None:
    # 10 + 8 + 3 = 21 of 103: 9.79, 8.16, 3.06; the first has the largest remainder.
    assert counts(mask_at_start("uniform", of(mlp, 0.2))) == [10, 8, 3]
    # 5 + 4 + 2 = 11: 5.13, 4.27, 1.60.
    assert counts(mask_at_start("uniform", of(mlp, 0.1))) == [5, 4, 2]


def test_the_shares_that_are_left_go_to_the_largest_remainders_and_of_equal_ones_to_the_first() -> None:
    ones = dict.fromkeys("abcd", 1)
    assert shares(6, ones, dict.fromkeys("abcd", 5)) == {"a": 2, "b": 2, "c": 1, "d": 1}
    assert shares(6, ones, {**dict.fromkeys("abcd", 5), "a": 0, "c": 1}) == {"a": 0, "b": 3, "c": 1, "d": 2}
    assert shares(7, {"a": 3, "b": 2, "c": 2}, {"a": 2, "b": 9, "c": 9}) == {"a": 2, "b": 3, "c": 2}
    assert shares(0, ones, dict.fromkeys("abcd", 0)) == dict.fromkeys("abcd", 0)


@pytest.mark.parametrize("name", ["erk", "uniform"])
def test_the_places_are_random_and_every_weight_may_stay(name: str) -> None:
    seen = torch.zeros(40)
    for seed in range(30):
        seen += mask_at_start(name, of(mlp, 0.3, seed=seed))["2.weight"].reshape(-1)
    assert seen.min() > 0
    assert seen.max() < 30


@pytest.mark.parametrize("name", ["erk", "uniform"])
def test_over_rounds_the_masks_are_nested_and_no_layer_gets_more_than_it_has_left(name: str) -> None:
    prune = {"scope": "global", "rate": 0.5, "score": name}
    mask, masks = None, []
    for number in range(4):
        candidate = after_round(mlp, inputs_of(6), mask=mask, number=number, prune=prune)
        mask = candidate.prune(named_score(name)(candidate))
        assert sum(counts(mask)) == candidate.budget.total
        masks.append(mask)
    # 51 of 103 weights, 25, 13 and 7: as in one shot.
    assert [counts(one) for one in masks] == {
        "erk": [[20, 19, 12], [10, 9, 6], [5, 5, 3], [3, 3, 1]],
        "uniform": [[24, 20, 7], [12, 10, 3], [6, 5, 2], [3, 3, 1]],
    }[name]
    for before, after in itertools.pairwise(masks):
        assert not any((after[key] & ~before[key]).any() for key in before)
    lopsided = {
        "0.weight": torch.arange(48).reshape(8, 6) < 3,
        "2.weight": torch.zeros(5, 8, dtype=torch.bool),
        "4.weight": torch.ones(3, 5, dtype=torch.bool),
    }
    candidate = after_round(mlp, inputs_of(6), mask=lopsided, prune={"scope": "global", "rate": 0.25})
    # 18 survive, round(4.5) = 4 go: 3 of the first at most, so 11 of the third.
    assert counts(candidate.prune(named_score(name)(candidate))) == [3, 0, 11]


def test_any_other_tensor_has_its_density_by_its_shape() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.attention = nn.GRU(2, 4, batch_first=True), nn.MultiheadAttention(4, 1, batch_first=True)
            self.out = nn.Linear(4, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            x = self.cell(x.unflatten(1, (2, 2)))[0]
            return self.out(self.attention(x, x, x, need_weights=False)[0].mean(1))

    include = ("cell.weight_*", "attention.in_proj_weight")
    candidate = at_start(Odd, inputs_of(4), density=0.25, include=include)
    sides = {name: sum(mask.shape) for name, mask in candidate.mask.items()}
    assert list(sides.values()) == [14, 16, 16, 8, 7]
    # 24, 48, 48, 16 and 12 weights; 6 + 12 + 12 + 4 + 3 = 37 stay: scale 37 / 61; 8.49, 9.70, 9.70, 4.85, 4.25.
    assert counts(mask_at_start("erk", candidate)) == [8, 10, 10, 5, 4]


@pytest.mark.parametrize("score", [erk, uniform])
def test_where_each_layer_has_its_count_already_it_is_refused(score: Any) -> None:
    told = r"^score = 's': says how many weights each layer keeps, .*; write scope = \"global\", or score = \"random\""
    with pytest.raises(InputError, match=told):
        scores_of(score, of(mlp, 0.5, scope="layer"), "score = 's'", "now")
