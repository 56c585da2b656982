"""Masks of a tiny run's rounds: counts by layer and over all layers, nesting, scores and rates."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from small_rounds import counts, of, rounds_of, setting_of
from torch import Tensor, nn

from tickets.amounts import budget_after
from tickets.chains import first_masks
from tickets.density import density
from tickets.pruning import Budget
from tickets.scores import by_tensor

pytestmark = pytest.mark.usefixtures("one_thread")


def conv_net(input_shape: tuple[int, ...], classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Unflatten(1, (1, input_shape[0])), nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(4 * (input_shape[0] - 2), 5), nn.ReLU(), nn.Linear(5, classes),
    )  # fmt: skip


@by_tensor
def signs_kept(weights: Any) -> Tensor:
    """A score of the user's own: only what it was trained to, with its sign."""
    return weights.trained


def test_by_layer_each_tensor_loses_its_own_share() -> None:
    setting = setting_of(prune={"rate": 0.2, "output_rate": 0.1})
    expected = [[80, 48, 18]]
    for _ in range(4):
        a, b, c = expected[-1]
        expected.append([a - round(0.2 * a), b - round(0.2 * b), c - round(0.1 * c)])
    assert expected[1:3] == [[64, 38, 16], [51, 30, 14]]
    results = rounds_of(setting, 4)
    for number, result in enumerate(results):
        ticket = of(result, "ticket")
        assert counts(ticket.mask) == expected[number]
        assert ticket.label.density == density(ticket.mask) == sum(expected[number]) / 146
        assert (result.rounds["density"] == ticket.label.density).all()
        assert (result.curves["density"] == ticket.label.density).all()
    assert counts(results[-1].chains[0].masks) == [
        n - round(rate * n) for n, rate in zip(expected[4], (0.2, 0.2, 0.1), strict=True)
    ]


def test_globally_all_tensors_are_ranked_together() -> None:
    results = rounds_of(setting_of(prune={"rate": 0.3, "scope": "global"}), 3)
    left = 146
    for result, after in itertools.pairwise(results):
        ticket, masks = of(result, "ticket"), of(after, "ticket").mask
        left -= round(0.3 * left)
        assert sum(counts(masks)) == left
        kept = torch.cat([ticket.trained[name][mask].abs() for name, mask in masks.items()])
        gone = torch.cat([ticket.trained[name][ticket.mask[name] & ~mask].abs() for name, mask in masks.items()])
        assert kept.min() >= gone.max()


def test_by_layer_the_smallest_trained_weights_go() -> None:
    first, second = rounds_of(setting_of(), 1)
    for name, mask in of(second, "ticket").mask.items():
        trained = of(first, "ticket").trained[name].abs()
        assert trained[mask].min() >= trained[~mask].max()


def test_masks_are_nested() -> None:
    for prune in ({"rate": 0.3}, {"rate": 0.3, "scope": "global"}, {"rate": 0.3, "score": "random"},
                  {"rate": 0.3, "score": f"{__name__}:signs_kept"}):  # fmt: skip
        results = rounds_of(setting_of(prune=prune), 4)
        for before, after in itertools.pairwise(results):
            for name, mask in of(after, "ticket").mask.items():
                assert not (mask & ~of(before, "ticket").mask[name]).any()
                assert int(mask.sum()) < int(of(before, "ticket").mask[name].sum()) or "scope" in prune


def test_a_score_of_the_users_own() -> None:
    first, second = rounds_of(setting_of(prune={"score": f"{__name__}:signs_kept", "rate": 0.5}), 1)
    mask = of(second, "ticket").mask["1.weight"]
    trained = of(first, "ticket").trained["1.weight"]
    assert trained[mask].min() >= trained[~mask].max()


def test_a_random_score_is_another_one_for_each_round_tensor_and_replicate() -> None:
    setting = setting_of(prune={"score": "random", "rate": 0.5})
    masks = [of(result, "ticket", r).mask["1.weight"] for result in rounds_of(setting, 1, 2) for r in (0, 1)]
    assert not torch.equal(masks[2], masks[3])
    again = of(rounds_of(setting, 1, 2)[1], "ticket").mask
    assert torch.equal(again["1.weight"], masks[2])


def test_what_is_excluded_is_neither_masked_nor_counted() -> None:
    for scope in ("layer", "global"):
        setting = setting_of(prune={"rate": 0.5, "exclude": ["5.weight"], "scope": scope})
        results = rounds_of(setting, 2)
        assert [tensor.name for tensor in setting.prunable] == ["1.weight", "3.weight"]
        for number, result in enumerate(results):
            ticket = of(result, "ticket")
            assert list(ticket.mask) == ["1.weight", "3.weight"]
            assert sum(counts(ticket.mask)) == 128 // 2**number
            assert ticket.label.density == 0.5**number
            assert (ticket.trained["5.weight"] != 0).all()


def test_convolutions_and_the_output_layer_have_their_own_rates() -> None:
    prune = {"rate": 0.2, "conv_rate": 0.5, "output_rate": 0.1}
    setting = setting_of(model={"name": f"{__name__}:conv_net"}, prune=prune)
    assert budget_after(setting.run.prune, setting.prunable, first_masks(setting)) == Budget(
        147, {"1.weight": 6, "4.weight": 128, "6.weight": 15 - round(1.5)}
    )
    first, second = rounds_of(setting, 1)
    assert counts(of(first, "ticket").mask) == [12, 160, 15]
    assert counts(of(second, "ticket").mask) == [6, 128, 15 - round(1.5)]


def test_one_shot_pruning_leaves_its_density_in_every_tensor() -> None:
    second = rounds_of(setting_of(rounds=1, prune={"density": 0.2}), 1)[1]
    assert counts(of(second, "ticket").mask) == [n - round(0.8 * n) for n in (80, 48, 18)] == [16, 10, 4]


def test_rate_0_prunes_nothing() -> None:
    assert counts(of(rounds_of(setting_of(prune={"rate": 0}), 1)[1], "ticket").mask) == [80, 48, 18]


def test_density_of_masks() -> None:
    assert density(first_masks(setting_of())) == 1.0
    assert density({"a": torch.tensor([True, False]), "b": torch.tensor([[False, True, True]])}) == 0.6
