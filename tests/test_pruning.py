"""Counts to the weight: rounding, scope, nesting, and the published checksum of a LeNet's densities."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune as torch_prune

from tickets.pruning import Budget, prune, removed


@pytest.mark.parametrize(
    ("surviving", "rate", "gone"),
    [
        (5, 0.5, 2),
        (7, 0.5, 4),
        (3, 0.5, 2),
        (1, 0.5, 0),
        (10, 0.25, 2),
        (10, 0.0, 0),
        (10, 1.0, 10),
        (0, 0.2, 0),
    ],
)
def test_removed_rounds_halves_to_even(surviving, rate, gone):
    assert removed(surviving, rate) == gone


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_rates_outside_0_1_are_refused(rate):
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        removed(10, rate)


def full(shapes):
    return {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}


def by_rates(scores, masks, rates):
    return prune(scores, masks, Budget.after_rates(masks, rates))


def by_rate(scores, masks, rate):
    return prune(scores, masks, Budget.after_rate(masks, rate))


def test_lenet_densities_are_the_published_ones():
    shapes = {"a": (300, 784), "b": (100, 300), "c": (10, 100)}
    rates = {"a": 0.2, "b": 0.2, "c": 0.1}
    masks, seen = full(shapes), {}
    for number in range(1, 20):
        masks = by_rates({name: torch.rand(shape) for name, shape in shapes.items()}, masks, rates)
        seen[number] = sum(int(mask.sum()) for mask in masks.values())
    percent = {number: round(100 * seen[number] / 266_200, 2) for number in (3, 7, 9, 11, 15, 16, 18, 19)}
    assert percent == {3: 51.28, 7: 21.07, 9: 13.52, 11: 8.68, 15: 3.58, 16: 2.87, 18: 1.85, 19: 1.49}


def test_a_layer_of_equal_magnitudes_loses_exactly_its_share():
    masks = by_rates({"w": torch.full((10, 10), 0.5)}, full({"w": (10, 10)}), {"w": 0.2})
    assert masks["w"].flatten().tolist() == [True] * 80 + [False] * 20


def test_rate_0_removes_none_and_rate_1_all():
    scores, masks = {"w": torch.zeros(4), "v": torch.zeros(3)}, full({"w": (4,), "v": (3,)})
    pruned = by_rates(scores, masks, {"w": 0.0, "v": 1.0})
    assert pruned["w"].all()
    assert not pruned["v"].any()


def test_global_scope_is_one_ranking():
    scores = {"a": torch.tensor([[5.0, 1.0], [2.0, 6.0]]), "b": torch.tensor([3.0, 0.5])}
    pruned = by_rate(scores, full({"a": (2, 2), "b": (2,)}), 0.5)
    assert pruned["a"].tolist() == [[True, False], [False, True]]
    assert pruned["b"].tolist() == [True, False]


def test_global_ties_keep_the_earlier_tensor():
    pruned = by_rate({"a": torch.ones(3), "b": torch.ones(3)}, full({"a": (3,), "b": (3,)}), 0.5)
    assert pruned["a"].all()
    assert not pruned["b"].any()


def test_global_agrees_with_torch_prune_where_there_are_no_ties():
    network = nn.Sequential(nn.Linear(8, 6), nn.Linear(6, 5))
    names = ["0.weight", "1.weight"]
    scores = {name: dict(network.named_parameters())[name].detach().abs() for name in names}
    ours = by_rate(scores, {name: torch.ones_like(score, dtype=torch.bool) for name, score in scores.items()}, 0.35)
    torch_prune.global_unstructured(
        [(network[0], "weight"), (network[1], "weight")], torch_prune.L1Unstructured, amount=removed(78, 0.35)
    )
    assert torch.equal(ours["0.weight"], network[0].weight_mask.bool())
    assert torch.equal(ours["1.weight"], network[1].weight_mask.bool())


@given(st.integers(0, 2**32), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_a_pruned_weight_stays_pruned_and_counts_are_exact(seed, first, second, layerwise):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"a": (5, 4), "b": (7,)}
    masks = full(shapes)
    for rate in (first, second):
        scores = {name: torch.randint(4, shape, generator=generator).float() for name, shape in shapes.items()}
        if layerwise:
            after = by_rates(scores, masks, dict.fromkeys(shapes, rate))
            for name in shapes:
                before = int(masks[name].sum())
                assert int(after[name].sum()) == before - round(rate * before)
        else:
            after = by_rate(scores, masks, rate)
            before = sum(int(mask.sum()) for mask in masks.values())
            assert sum(int(mask.sum()) for mask in after.values()) == before - round(rate * before)
        assert not any((after[name] & ~masks[name]).any() for name in shapes)
        masks = after


# Budgets.


def test_a_budget_is_as_many_weights_as_masks_keep():
    masks = {"a": torch.tensor([True, False, True]), "b": torch.tensor([[True], [False]])}
    assert Budget.of(masks, "layer") == Budget(3, {"a": 2, "b": 1})
    assert Budget.of(masks, "global") == Budget(3)


def test_on_the_way_the_density_falls_by_the_same_factor():
    masks = full({"a": (8, 8), "b": (32,)})
    budget = Budget(12, {"a": 4, "b": 8})
    assert [budget.at(part / 4, masks).by_tensor for part in range(5)] == [
        {"a": 64, "b": 32},
        {"a": 32, "b": round(32 / 4**0.25)},
        {"a": 16, "b": 16},
        {"a": 8, "b": round(32 / 4**0.75)},
        {"a": 4, "b": 8},
    ]
    assert [Budget(6).at(part / 4, masks) for part in range(5)] == [Budget(96 // 2**part) for part in range(5)]


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1))
def test_a_budget_is_monotone_on_the_way_and_exact_at_its_end(one, other, first, second):
    surviving, remaining = max(one, other), min(one, other)
    masks = {"a": torch.ones(surviving, dtype=torch.bool)}
    early, late = (Budget(remaining).at(part, masks).total for part in sorted((first, second)))
    assert surviving >= early >= late >= remaining
    assert Budget(remaining).at(1, masks) == Budget(remaining)
    assert Budget(remaining, {"a": remaining}).at(1, masks) == Budget(remaining, {"a": remaining})


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_a_fraction_outside_0_1_is_refused(fraction):
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        Budget(1).at(fraction, full({"a": (2,)}))
