"""Overlap of masks: tiny masks by hand, chance by every mask that there is, and which pairs there are."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations, product

import pytest
import torch
from made_networks import label, made_networks
from torch import Tensor, nn

from tickets.data import Examples
from tickets.measures import Label
from tickets.probes import Networks
from tickets.probes.overlap import overlap, overlaps
from tickets.probes.pairs import Pairs

NO_EXAMPLES = Examples(*[torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64)] * 3, classes=2)


def bits(text: str) -> Tensor:
    return torch.tensor([character == "1" for character in text])


def of_masks(labels: list[Label], a: list[str], b: list[str], earlier: list[Networks] | None = None) -> Networks:
    masks = {"a": torch.stack([*map(bits, a)]), "b": torch.stack([*map(bits, b)])}
    return made_networks(
        labels, {}, NO_EXAMPLES, lambda: nn.Linear(4, 2), masks, earlier or (),
        arms=["ticket", "reinit", "random_mask"],
    )  # fmt: skip


def test_two_masks_by_hand() -> None:
    networks = of_masks([label(0), label(1)], ["1100", "0110"], ["10", "01"])
    keys = {"network": 0, "between": "replicates", "with_replicate": 1, "with_round": 1, "with_arm": "ticket",
            "with_draw": 0}  # fmt: skip
    # a: 2 x 2 / 4 = 1 in common by chance, of 3; b: 1 x 1 / 2 = 1/2 of 3/2.
    assert overlap(networks) == [
        {**keys, "tensor": "all", "weights": 6, "kept": 3, "with_kept": 3, "common": 1, "jaccard": 1 / 5,
         "by_chance": 1.5 / 4.5},
        {**keys, "tensor": "a", "weights": 4, "kept": 2, "with_kept": 2, "common": 1, "jaccard": 1 / 3,
         "by_chance": 1 / 3},
        {**keys, "tensor": "b", "weights": 2, "kept": 1, "with_kept": 1, "common": 0, "jaccard": 0.0,
         "by_chance": 0.5 / 1.5},
    ]  # fmt: skip


def test_masks_of_one_density_overlap_by_d_over_2_minus_d() -> None:
    for kept in range(1, 11):
        (row, *_) = overlaps({"a": bits("1" * kept + "0" * (10 - kept))}, {"a": bits("0" * (10 - kept) + "1" * kept)})
        assert row["by_chance"] == pytest.approx(kept / 10 / (2 - kept / 10), rel=1e-14)


def test_chance_is_the_mean_over_every_two_masks_that_keep_as_many_of_each_tensor() -> None:
    def every(weights: int, kept: int) -> list[Tensor]:
        return [
            bits("".join("01"[i in chosen] for i in range(weights))) for chosen in combinations(range(weights), kept)
        ]

    found = [
        next(iter(overlaps({"a": a, "b": b}, {"a": c, "b": d})))
        for a, b, c, d in product(every(4, 3), every(3, 1), every(4, 2), every(3, 2))
    ]
    common = sum(row["common"] for row in found)
    either = sum(row["kept"] + row["with_kept"] - row["common"] for row in found)
    (chance,) = {row["by_chance"] for row in found}
    assert chance == pytest.approx(common / either, rel=1e-12)


def test_masks_without_a_weight() -> None:
    (whole, only) = overlaps({"a": bits("000")}, {"a": bits("000")})
    assert math.isnan(whole["jaccard"])
    assert math.isnan(only["by_chance"])
    (whole, _) = overlaps({"a": bits("000")}, {"a": bits("010")})
    assert (whole["jaccard"], whole["by_chance"]) == (0.0, 0.0)


def keys_of(rows: list) -> list[tuple]:
    return [
        (row["between"], row["network"], row["with_replicate"], row["with_round"], row["with_arm"], row["with_draw"])
        for row in rows
        if row["tensor"] == "all"
    ]


def test_pairs_of_arms_and_rounds_and_nested_masks() -> None:
    labels = [label(r, 2, arm) for r in (0, 1) for arm in ("ticket", "reinit", "random_mask")]
    before = of_masks([label(r, 1, one.arm) for r, one in zip((0, 0, 0, 1, 1, 1), labels, strict=True)],
                      ["1100", "1100", "0011"] * 2, ["11"] * 6)  # fmt: skip
    networks = of_masks(labels, ["1000", "1000", "0001"] * 2, ["10"] * 6, [before])
    rows = overlap(networks)
    assert keys_of(rows) == [
        ("replicates", 0, 1, 2, "ticket", 0),
        ("replicates", 2, 1, 2, "random_mask", 0),
        ("arms", 2, 0, 2, "ticket", 0),
        ("arms", 5, 1, 2, "ticket", 0),
        ("rounds", 0, 0, 1, "ticket", 0),
        ("rounds", 2, 0, 1, "random_mask", 0),
        ("rounds", 3, 1, 1, "ticket", 0),
        ("rounds", 5, 1, 1, "random_mask", 0),
    ]
    nested = next(row for row in rows if row["between"] == "rounds")
    assert nested["jaccard"] == 2 / 4, "the ratio of the densities"


def test_an_arm_that_was_added_later_meets_the_committed_ticket() -> None:
    committed = of_masks([label(0, 0), label(1, 0)], ["1100", "0011"], ["11", "11"])
    networks = of_masks(
        [label(1, 0, "random_mask"), label(1, 0, "random_mask", 1)], ["0110"] * 2, ["11"] * 2, [committed]
    )
    rows = overlap(networks)
    assert keys_of(rows) == [("arms", 0, 1, 0, "ticket", 0), ("arms", 1, 1, 0, "ticket", 0)]
    assert rows[1]["common"] == 1


@pytest.mark.parametrize(("replicates", "pairs"), [(1, 0), (2, 1), (3, 3), (10, 45), (11, 55), (12, 60), (40, 200)])
def test_the_pairs_of_replicates_are_all_or_as_many_for_each(replicates: int, pairs: int) -> None:
    networks = of_masks([label(r) for r in range(replicates)], ["1100"] * replicates, ["10"] * replicates)
    found = [(pair.network, pair.place) for pair in Pairs(networks, trained=False).of_replicates(lambda label: True)]
    assert len(found) == len(set(found)) == pairs
    assert all(one < other for one, other in found)
    assert len(set(Counter(place for pair in found for place in pair).values())) <= 1, "each replicate as often"
