"""Scores by name, with options, and of one tensor's weights."""

from __future__ import annotations

import re

import pytest
import torch
from candidates import after_round, at_start, inputs_of
from torch import Tensor, nn

from tickets.candidate import Candidate
from tickets.errors import InputError
from tickets.scores import Weights, by_tensor, magnitude, named_score, random
from tickets.seeds import stream


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3))


@by_tensor
def weighted(weights: Weights, *, scale: float, sign: int = 1) -> Tensor:
    """A score with options."""
    return sign * scale * weights.trained


def of_candidate(candidate: Candidate, scale: float = 1.0) -> dict[str, Tensor]:
    return {name: scale * value for name, value in candidate.trained.items()}


def test_magnitude_is_the_size_of_the_trained_weights() -> None:
    candidate = after_round(net, inputs_of(4))
    scores = magnitude(candidate)
    assert list(scores) == ["0.weight", "2.weight"]
    for name, score in scores.items():
        assert torch.equal(score, candidate.trained[name].abs())
        assert not torch.equal(score, candidate.initial[name].abs())


def test_random_numbers_are_those_of_the_replicate_the_round_and_the_tensor() -> None:
    scores = random(after_round(net, inputs_of(4), number=3, replicate=2, seed=7))
    for name, score in scores.items():
        generator = torch.Generator().manual_seed(stream(7, 2, "score", 3, name))
        assert torch.equal(score, torch.rand(score.shape, generator=generator))


def test_random_numbers_at_the_start_follow_from_the_seed_that_is_given() -> None:
    one, same, other = (random(at_start(net, inputs_of(4), seed=seed))["0.weight"] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_by_tensor_gives_each_tensors_weights_and_options() -> None:
    mask = {"0.weight": torch.arange(12).reshape(3, 4) % 2 == 0, "2.weight": torch.ones(3, 3, dtype=torch.bool)}
    candidate, seen = after_round(net, inputs_of(4), mask=mask), []

    @by_tensor
    def looks(weights: Weights, *, option: int) -> Tensor:
        """Documented."""
        seen.append((weights, option))
        return weights.trained

    assert (looks.__name__, looks.__doc__) == ("looks", "Documented.")
    assert torch.equal(looks(candidate, option=3)["2.weight"], candidate.trained["2.weight"])
    for (weights, option), name in zip(seen, mask, strict=True):
        assert option == 3
        assert torch.equal(weights.initial, candidate.initial[name])
        assert torch.equal(weights.trained, candidate.trained[name])
        assert torch.equal(weights.mask, mask[name])
        assert not (weights.trained[~mask[name]] != 0).any()


@pytest.mark.parametrize("name", ["weighted", "of_candidate"])
def test_options_are_passed_by_name(name: str) -> None:
    candidate = after_round(net, inputs_of(4))
    scores = named_score(f"{__name__}:{name}", {"scale": 2.0})(candidate)
    assert torch.equal(scores["0.weight"], 2 * candidate.trained["0.weight"])


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        (
            f"{__name__}:weighted",
            {},
            "prune.score.scale: '{}' needs this option and it is not given (allowed",
        ),
        (
            f"{__name__}:weighted",
            {"scale": 1, "sing": 2},
            "prune.score.sing = 2: '{}' has no such option; did",
        ),
        (
            f"{__name__}:of_candidate",
            {"candidate": 1},
            "prune.score.candidate = 1: '{}' gets 'candidate' from the",
        ),
        ("magnitude", {"scale": 2}, "prune.score.scale = 2: '{}' has no such option (it has no options)"),
        ("magnitud", {}, "prune.score = '{}': unknown; did you mean 'magnitude'?"),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told.format(name))):
        named_score(name, options)
