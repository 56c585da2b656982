"""How many weights remain after each pruning: exact counts, by densities and by rates."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tickets.amounts import budget_after, density_after, planned_densities
from tickets.config import parse_run
from tickets.pruning import Budget
from tickets.stack.architecture import Prunable

# 10 and 5 weights: half of 5 is 2.5, and halves go to the even number.
PRUNABLE = (Prunable("0.weight", (2, 5), False, False), Prunable("2.weight", (5, 1), False, True))
DENSE = {tensor.name: torch.ones(tensor.shape, dtype=torch.bool) for tensor in PRUNABLE}


def run_of(rounds: int | None = None, **prune: Any) -> Any:
    table = {"name": "x", "data": "digits", "model": "mlp", "prune": prune}
    return parse_run({**table, **({} if rounds is None else {"rounds": rounds})})


def surviving(first: int, second: int) -> dict[str, Tensor]:
    masks = {name: torch.zeros_like(mask) for name, mask in DENSE.items()}
    for mask, count in zip(masks.values(), (first, second), strict=True):
        mask.view(-1)[:count] = True
    return masks


@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        ("layer", [Budget(7, {"0.weight": 5, "2.weight": 2}), Budget(3, {"0.weight": 2, "2.weight": 1})]),
        ("global", [Budget(8), Budget(3)]),  # round(7.5) and 3 of 15
    ],
)
def test_a_density_is_of_all_weights_whatever_survives(scope: str, wanted: list[Budget]) -> None:
    prune = run_of(densities=[0.5, 0.2], scope=scope).prune
    assert budget_after(prune, PRUNABLE, DENSE, 0) == wanted[0]
    assert budget_after(prune, PRUNABLE, surviving(5, 3), 1) == wanted[1]


def test_no_pruned_weight_comes_back() -> None:
    layer, whole = (run_of(densities=[0.5], scope=scope).prune for scope in ("layer", "global"))
    assert budget_after(layer, PRUNABLE, surviving(3, 5), 0) == Budget(5, {"0.weight": 3, "2.weight": 2})
    assert budget_after(whole, PRUNABLE, surviving(3, 2), 0) == Budget(5)


def test_after_the_last_density_the_last_share_goes_once_more() -> None:
    assert [density_after((0.5, 0.2), round) for round in range(3)] == [0.5, 0.2, pytest.approx(0.08)]
    assert [density_after((0.25,), round) for round in range(2)] == [0.25, 0.0625]


@pytest.mark.parametrize(
    ("prune", "rounds", "wanted"),
    [
        ({"densities": [0.5, 0.2]}, None, [15, 7, 3]),
        ({"densities": [0.5, 0.2], "scope": "global"}, None, [15, 8, 3]),
        ({"rate": 0.5, "output_rate": 0.2}, 3, [15, 9, 6, 3]),  # 10, 5, 3, 1 and 5, 4, 3, 2
        ({"rate": 0.5, "scope": "global"}, 3, [15, 7, 3, 1]),
        ({"density": 0.2}, 1, [15, 3]),
    ],
)
def test_the_densities_that_are_planned(prune: dict[str, Any], rounds: int | None, wanted: list[int]) -> None:
    assert planned_densities(run_of(rounds, **prune), PRUNABLE) == tuple(count / 15 for count in wanted)
