"""Early-bird tickets: made masks whose distances are known, and when a ticket is drawn."""

from __future__ import annotations

import dataclasses
import math
from itertools import combinations

import pytest
import torch
from made_networks import label, made_networks, with_masks
from torch import Tensor, nn

from tickets.data import Examples
from tickets.errors import InputError
from tickets.probes import Networks
from tickets.probes.early_bird import by_chance, early_bird

NO_EXAMPLES = Examples(*[torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64)] * 3, classes=2)


def bits(text: str) -> Tensor:
    return torch.tensor([character == "1" for character in text])


def tickets(alive: str = "1" * 10) -> Networks:
    """A ticket and a control."""
    masks = {"weight": torch.stack([bits(alive)] * 2)}
    values = {"weight": torch.ones(2, len(alive))}
    return made_networks(
        [label(), label(arm="reinit")], values, NO_EXAMPLES, lambda: nn.Linear(4, 2), masks,
    )  # fmt: skip


def course(networks: Networks, masks: list[str], **options: float) -> list[dict]:
    """The ticket's row at each step."""
    rows = []
    for mask in masks:
        now = with_masks(networks, [{"weight": bits(mask)}, {}])
        (row,) = early_bird(now, **options)
        rows.append(row)
    return rows


def test_distances_of_masks_by_hand_and_the_step_at_which_the_ticket_is_drawn() -> None:
    rows = course(tickets(), ["1111100000", "1111010000", "1111010000", "1111001000", "1111001000", "1111001000"],
                  last=2, threshold=0.2)  # fmt: skip
    assert [row["distance"] for row in rows[1:]] == [0.2, 0.0, 0.2, 0.0, 0.0]
    assert math.isnan(rows[0]["distance"])
    assert [math.isnan(row["largest"]) for row in rows] == [True, True, False, False, False, False]
    assert [row["largest"] for row in rows[2:]] == [0.2, 0.2, 0.2, 0.0]
    assert [row["drawn"] for row in rows] == [False] * 5 + [True], "0.2 is not below 0.2"
    assert {row["network"] for row in rows} == {0}, "only a ticket is pruned"


def test_a_drawn_ticket_stays_drawn_and_five_distances_are_the_default() -> None:
    same, other = "1111100000", "0000011111"
    rows = course(tickets(), [same] * 6 + [other])
    assert [row["drawn"] for row in rows] == [False] * 5 + [True, True]
    assert rows[-1]["distance"] == rows[-1]["largest"] == 1.0
    assert {row["threshold"] for row in rows} == {0.1}


def test_only_weights_of_the_round_count() -> None:
    rows = course(tickets(alive="1111000000"), ["1110000000", "1101000000"])
    assert rows[1]["distance"] == 2 / 4
    assert rows[1]["by_chance"] == 2 * 3 * 1 / 4 / 4


def test_chance_is_the_mean_over_every_two_masks() -> None:
    def every(weights: int, kept: int) -> list[Tensor]:
        return [
            bits("".join("01"[i in chosen] for i in range(weights))) for chosen in combinations(range(weights), kept)
        ]

    first, second = every(4, 1), every(3, 2)
    masks = [torch.cat([one, two]) for one in first for two in second]
    mean = sum(float((one != two).double().mean()) for one in masks for two in masks) / len(masks) ** 2
    alive = {"a": bits("1111"), "b": bits("111")}
    assert by_chance({"a": first[0], "b": second[0]}, alive) == pytest.approx(mean, rel=1e-12)


def test_a_network_that_diverges_has_nan_from_there_on() -> None:
    networks = tickets()
    (row,) = course(networks, ["1111100000"])
    broken = torch.full((2, 10), math.nan)
    lost = dataclasses.replace(networks, values={"weight": broken})
    for _ in range(3):
        (row,) = early_bird(lost, last=1)
        assert math.isnan(row["distance"])
        assert math.isnan(row["largest"])
        assert row["drawn"] is False
        assert math.isnan(row["by_chance"])


def test_options_are_checked() -> None:
    from tickets.config import parse_run

    with pytest.raises(InputError) as caught:
        parse_run(
            {"name": "x", "data": "digits", "model": "mlp",
             "probes": [{"name": "early_bird", "last": 0, "threshold": 1.5}]}
        )  # fmt: skip
    assert [line.partition(": must be ")[0] for line in caught.value.problems] == [
        "probes[0].last = 0", "probes[0].threshold = 1.5",
    ]  # fmt: skip
