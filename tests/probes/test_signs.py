"""The probe `signs`, counted by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from networks_by_hand import networks_by_hand
from torch import nn

from tickets.errors import InputError
from tickets.probes.networks import nothing_trained
from tickets.probes.signs import signs

X, Y = torch.zeros(3, 3), torch.zeros(3, dtype=torch.long)
FIRST = {"0.weight": torch.tensor([[1.0, -1.0, 2.0], [0.0, 0.0, -3.0]]), "1.weight": torch.tensor([[1.0, -1.0]])}
NOW = {"0.weight": torch.tensor([[1.0, 1.0, 0.0], [0.5, 0.0, 3.0]]), "1.weight": torch.tensor([[-2.0, -2.0]])}
MASK = {"0.weight": torch.tensor([[True, True, True], [True, True, False]])}
DENSE = {"0.weight": torch.tensor([[-1.0, 2.0, 0.0], [1.0, 1.0, 1.0]]), "1.weight": torch.tensor([[-1.0, 1.0]])}


def build() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2, bias=False), nn.Linear(2, 1, bias=False))


def by_tensor(networks, **options):
    table = signs(networks, **options)
    assert list(table.columns) == ["network", "tensor", "survivors", "flipped", "as_dense", "zero"]
    return {
        (row.network, row.tensor): (row.survivors, row.flipped, row.as_dense, row.zero) for row in table.itertuples()
    }


def dense_of(**changes):
    dense = networks_by_hand(build, [{**DENSE, **changes}], [{}], X, Y, number=0)
    return lambda round, trained: dense if round == 0 else None


def test_signs_by_hand() -> None:
    # Survivors of the first tensor, from start to now: 1 1, -1 1 (flipped), 2 0 (flipped, zero), 0 0.5 (flipped),
    # 0 0 (zero); the pruned -3 3 does not count. Dense: - + 0 + +, so the second, third and fourth agree.
    found = by_tensor(networks_by_hand(build, [NOW], [MASK], X, Y, initial=[FIRST], earlier=dense_of()))
    assert found == {
        (0, "all"): (7, 4 / 7, 4 / 7, 2 / 7),
        (0, "0.weight"): (5, 3 / 5, 3 / 5, 2 / 5),
        (0, "1.weight"): (2, 1 / 2, 1 / 2, 0.0),
    }


def test_round_0_is_compared_with_nothing_also_in_arms_that_were_added_to_it_later() -> None:
    found = by_tensor(networks_by_hand(build, [NOW], [MASK], X, Y, initial=[FIRST], earlier=dense_of(), number=0))
    assert all(math.isnan(as_dense) for _, _, as_dense, _ in found.values())
    assert found[0, "all"][:2] == (7, 4 / 7)


def test_what_cannot_be_compared_is_nan() -> None:
    lost = {**NOW, "1.weight": torch.tensor([[math.nan, 1.0]])}
    both = networks_by_hand(build, [NOW, lost], [MASK, MASK], X, Y, initial=[FIRST, FIRST], earlier=dense_of())
    found = by_tensor(both)
    assert found[0, "all"] == (7, 4 / 7, 4 / 7, 2 / 7)
    assert all(math.isnan(share) for share in found[1, "all"][1:])
    assert found[1, "all"][0] == 7
    # Replicate 1 has no dense network here; one that diverged is none; and round 0 has none before it.
    for earlier in (dense_of(**{"0.weight": torch.full((2, 3), math.inf)}), lambda round, trained: None):
        table = signs(networks_by_hand(build, [NOW], [MASK], X, Y, initial=[FIRST], earlier=earlier))
        assert table["as_dense"].isna().all()
        assert table["flipped"].tolist() == [4 / 7, 3 / 5, 1 / 2]


def test_the_dense_ticket_alone_is_compared_with_and_only_where_its_tensors_have_the_same_shape() -> None:
    dense = dense_of()(0, True)
    other = dataclasses.replace(dense, labels=(dataclasses.replace(dense.labels[0], arm="reinit"),))
    found = signs(networks_by_hand(build, [NOW], [MASK], X, Y, earlier=lambda round, trained: other))
    assert found["as_dense"].isna().all()
    wide = dataclasses.replace(dense, values={**dense.values, "1.weight": torch.ones(1, 1, 7)})
    found = signs(networks_by_hand(build, [NOW], [MASK], X, Y, earlier=lambda round, trained: wide))
    assert found["as_dense"].isna().tolist() == [True, False, True]


def test_without_stored_values_of_round_0_it_says_what_to_do() -> None:
    def earlier(round, trained):
        raise nothing_trained(round)

    networks = networks_by_hand(build, [NOW], [MASK], X, Y, initial=[FIRST], earlier=earlier)
    with pytest.raises(
        InputError, match=r"probe 'signs': asks for trained values of round 0.*, or leave .*dense = false"
    ):
        signs(networks)
    assert by_tensor(networks, dense=False)[0, "1.weight"][:2] == (2, 1 / 2)


def test_no_survivor_has_no_share() -> None:
    none = {name: torch.zeros_like(value, dtype=torch.bool) for name, value in NOW.items()}
    table = signs(networks_by_hand(build, [NOW], [none], X, Y, earlier=dense_of()))
    assert table["survivors"].eq(0).all()
    assert table[["flipped", "as_dense", "zero"]].isna().all(axis=None)
