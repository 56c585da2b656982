"""Exact counts, exact ties: tiny tensors with the answer written out, an oracle, and what must always hold."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils import prune

from tickets.masks import keep_highest, random_places

CASES = [  # scores, keep, mask: the lower index stays at a tie
    ([1, 1, 1, 1, 1, 1, 1, 1], 4, [1, 1, 1, 1, 0, 0, 0, 0]),
    ([1, 0.5, 0.3, 0.2, 1, 1.5, 1.8, 2, 1, 1], 5, [1, 0, 0, 0, 1, 1, 1, 1, 0, 0]),
    ([0.5] * 10, 8, [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]),
    ([0, 0, 0, 3, 0, 0], 1, [0, 0, 0, 1, 0, 0]),
    ([3, 1, 2], 0, [0, 0, 0]),
    ([3, 1, 2], 3, [1, 1, 1]),
    ([-0.0, 0.0, -0.0], 2, [1, 1, 0]),  # the two zeros are equal
    ([float("nan"), 1, float("nan"), -1], 3, [1, 1, 0, 1]),  # NaN ranks below every number
    ([float("-inf"), float("nan")], 1, [1, 0]),
]


@pytest.mark.parametrize(("scores", "keep", "expected"), CASES)
def test_highest_stay_and_lower_index_wins_a_tie(scores, keep, expected):
    assert keep_highest(torch.tensor(scores), keep).int().tolist() == expected


def test_dead_entries_stay_dead_whatever_their_score():
    alive = torch.tensor([True, False, True, True])
    assert keep_highest(torch.tensor([1.0, 9.0, 2.0, 3.0]), 2, alive).tolist() == [False, False, True, True]


def test_shape_is_kept_and_the_index_is_flat():
    mask = keep_highest(torch.ones(2, 3), 4)
    assert mask.tolist() == [[True, True, True], [True, False, False]]


@pytest.mark.parametrize("keep", [-1, 4])
def test_impossible_counts_are_refused(keep):
    with pytest.raises(ValueError, match=rf"keep = {keep}: must be between 0 and the 3 entries that are alive"):
        keep_highest(torch.ones(3), keep)


scores_with_ties = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0]) | st.floats(-3, 3, width=32), min_size=1)


@given(scores_with_ties, st.data())
def test_count_is_exact_nested_and_nothing_kept_is_below_what_went(scores, data):
    tensor = torch.tensor(scores)
    alive = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores))))
    keep = data.draw(st.integers(0, int(alive.sum())))
    mask = keep_highest(tensor, keep, alive)
    assert int(mask.sum()) == keep
    assert not (mask & ~alive).any()
    gone = alive & ~mask
    if keep and gone.any():
        assert tensor[mask].min() >= tensor[gone].max()
        cut = tensor[mask].min()
        tied_kept, tied_gone = (mask & (tensor == cut)).nonzero(), (gone & (tensor == cut)).nonzero()
        assert not len(tied_gone) or tied_kept.max() < tied_gone.min()


odd_numbers = st.sampled_from([-2.0, -0.0, 0.0, 1.0, math.inf, -math.inf, math.nan])


@given(st.lists(st.tuples(odd_numbers, st.booleans()), min_size=1), st.data())
def test_it_is_a_stable_sort(entries, data):
    alive = [index for index, (_, living) in enumerate(entries) if living]
    keep = data.draw(st.integers(0, len(alive)))
    ranked = sorted(alive, key=lambda index: math.inf if math.isnan(entries[index][0]) else -entries[index][0])
    scores, living = (torch.tensor(part) for part in zip(*entries, strict=True))
    assert keep_highest(scores, keep, living).nonzero()[:, 0].tolist() == sorted(ranked[:keep])


@pytest.mark.parametrize("amount", [0, 1, 7, 60, 119, 120])
def test_agrees_with_torch_prune_where_there_are_no_ties(amount):
    layer = torch.nn.Linear(12, 10)
    ours = keep_highest(layer.weight.abs(), layer.weight.numel() - amount)
    prune.l1_unstructured(layer, "weight", amount=amount)
    assert torch.equal(ours, layer.weight_mask.bool())


def test_random_places_are_as_many_and_follow_the_generator():
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[:3] = True
    first = random_places(mask, torch.Generator().manual_seed(1))
    again = random_places(mask, torch.Generator().manual_seed(1))
    other = random_places(mask, torch.Generator().manual_seed(2))
    assert int(first.sum()) == int(other.sum()) == 90
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first[3:].any(), "places are drawn from the whole tensor, not from the mask"
