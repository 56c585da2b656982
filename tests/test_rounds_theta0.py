"""Scores see the values before any training, also where a round starts from later ones."""

from __future__ import annotations

import pytest
import torch
from small_rounds import masked, of, rounds_of, setting_of
from torch import Tensor

from tickets.candidate import Candidate
from tickets.chains import first_chain

pytestmark = pytest.mark.usefixtures("one_thread")

seen: list[Candidate] = []


def spy(candidate: Candidate) -> dict[str, Tensor]:
    seen.append(candidate)
    return {name: value.abs() for name, value in candidate.theta0.items()}


def test_a_score_sees_theta0_with_pruned_weights_0_and_not_the_rewound_values() -> None:
    setting = setting_of(rewind={"step": 5}, prune={"score": f"{__name__}:spy", "rate": 0.3})
    theta0 = first_chain(setting, 0).theta0
    seen.clear()
    results = rounds_of(setting, 2)
    assert [candidate.round for candidate in seen] == [0, 1, 2]
    for result, candidate in zip(results, seen, strict=True):
        ticket = of(result, "ticket")
        expected = masked(theta0, ticket.mask)
        for name, value in candidate.values.theta0.items():
            assert torch.equal(value, expected[name])
            assert candidate.round == 0 or not torch.equal(candidate.values.initial[name], value)
        for name, mask in result.chains[0].masks.items():
            kept, gone = expected[name].abs()[mask], expected[name].abs()[ticket.mask[name] & ~mask]
            assert kept.min() >= gone.max()


@pytest.mark.parametrize("score", ["large_init", "snip", "synflow"])
def test_a_score_of_theta0_gives_the_same_masks_whatever_the_training(score: str) -> None:
    """One pruning from the dense network, after trainings at two learning rates."""
    masks = []
    for rate in (0.001, 0.1):
        prune = {"score": score if score != "synflow" else {"name": score, "iterations": 3}, "scope": "global"}
        (result,) = rounds_of(setting_of(train={"learning_rate": rate}, prune=prune), 0)
        masks.append(result.chains[0].masks)
    assert all(torch.equal(masks[0][name], masks[1][name]) for name in masks[0])


def test_with_a_diverged_training_scores_of_theta0_are_numbers_and_counts_exact() -> None:
    for score in ("grasp", "magnitude_increase"):
        setting = setting_of(train={"optimizer": "sgd", "learning_rate": 1e30}, prune={"score": score, "rate": 0.5})
        (result,) = rounds_of(setting, 0)
        assert result.chains[0].diverged
        assert sum(int(mask.sum()) for mask in result.chains[0].masks.values()) == 40 + 24 + 9
