"""What is said of how much of a network is prunable."""

from __future__ import annotations

import pytest

from tickets.coverage import Coverage, LeftOut, coverage_from_json

GRU = {"gru.weight_ih_l0": LeftOut(192, "not included"), "gru.weight_hh_l0": LeftOut(768, "not included")}


def test_everything() -> None:
    assert Coverage({"a": 266_200}, {}).sentence == "prunable: all 266,200 weights, in 1 tensor"
    assert Coverage({"a": 1, "b": 2}, {}).warning is None


def test_a_small_share_is_warned_of_with_the_largest_tensors_left_out() -> None:
    some = Coverage({"out.weight": 240}, {**GRU, "a": LeftOut(300, "frozen"), "b": LeftOut(12, "excluded")})
    largest = "gru.weight_hh_l0 (768, not included), a (300, frozen), gru.weight_ih_l0 (192, not included) and 1 more"
    assert some.sentence == f"prunable: 240 of 1,512 weights (15.8 %), in 1 tensor; not prunable: {largest}"
    assert some.warning == (
        "only 15.8 % of the weights are prunable, and density is a fraction of these alone; the largest tensors left "
        f'out: {largest}; name those to be pruned in prune.include, e.g. include = ["gru.weight_hh_l0"]'
    )


def test_what_no_pattern_can_add_is_not_offered() -> None:
    frozen = Coverage({"b": 1}, {"a": LeftOut(3, "frozen")})
    assert frozen.warning is not None
    assert frozen.warning.endswith(
        "prune.include cannot add them: they are frozen (requires_grad = False) or prune.exclude names them"
    )


@pytest.mark.parametrize(
    ("weights", "warned", "shown"), [(4999, True, "49.9 %"), (5000, False, "50 %"), (9999, False, "99.9 %")]
)
def test_half_is_enough_and_shares_are_not_rounded_up(weights: int, warned: bool, shown: str) -> None:
    some = Coverage({"a": weights}, {"b": LeftOut(10_000 - weights, "frozen")})
    assert (some.warning is not None) == warned
    assert f"({shown})" in some.sentence


def test_json_and_back() -> None:
    some = Coverage({"out.weight": 240}, GRU)
    assert coverage_from_json(some.as_json()) == some
    assert some.as_json()["share"] == 240 / 1200
