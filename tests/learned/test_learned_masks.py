"""Masks from scores: exact counts of the highest ones, and expected counts of samples."""

from __future__ import annotations

import math

import pytest
import torch

from tickets.learned.masks import TOLERANCE, highest, inverse_density, logistic, probabilities, sample
from tickets.masks import keep_highest

INF, NAN = math.inf, math.nan


def test_edge_popup_keeps_the_largest_absolute_scores_and_a_supermask_the_largest() -> None:
    scores, counts = torch.tensor([[[3.0, -5.0], [1.0, 4.0]], [[0.1, 0.2], [-0.3, 0.4]]]), torch.tensor([2, 1])
    edge_popup, supermask = highest("edge_popup", scores, counts), highest("supermask", scores, counts)
    assert edge_popup.tolist() == [[[False, True], [False, True]], [[False, False], [False, True]]]
    assert supermask.tolist() == [[[True, False], [False, True]], [[False, False], [False, True]]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(
    "scores",
    [
        [1.0, 1.0, 1.0, 1.0, 1.0],  # of equal ones the lower flat index stays
        [2.0, -1.0, 2.0, 3.0, 2.0],
        [0.0, -0.0, 0.0, -0.0, 0.0],
        [INF, -INF, INF, 1.0, NAN],
        [NAN, NAN, 1.0, -INF, NAN],
    ],
)
def test_the_highest_are_those_of_every_other_mask(scores: list[float], dtype: torch.dtype) -> None:
    given = torch.tensor(scores, dtype=dtype)
    for keep in range(6):
        (found,) = highest("supermask", given[None], torch.tensor([keep]))
        assert int(found.sum()) == keep
        assert torch.equal(found, keep_highest(given, keep))


def test_the_expected_number_of_weights_is_the_count() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(6, 20, 30, generator=generator) * torch.tensor([1e-3, 1.0, 5.0, 50.0, 1.0, 1.0]).view(6, 1, 1)
    counts = torch.tensor([300, 1, 57, 400, 0, 600])
    found = probabilities(scores, counts)
    for network, count in enumerate(counts.tolist()):
        assert float(found[network].double().sum()) == pytest.approx(count, abs=2 * TOLERANCE * 600)
    assert bool((found[4] == 0).all())
    assert bool((found[5] == 1).all())
    # A common offset: the differences of the logits are those of the scores.
    logits = torch.logit(found[1].double())
    assert torch.allclose(logits - logits[0, 0], (scores[1] - scores[1, 0, 0]).double(), atol=1e-3)


def test_the_offset_is_found_between_two_groups_of_scores_that_are_far_apart() -> None:
    scores = torch.where(torch.arange(600) < 300, 60.0, -60.0)[None].expand(3, -1)
    found = probabilities(scores, torch.tensor([150, 450, 30]))
    for network, (above, below) in enumerate(((0.5, 0.0), (1.0, 0.5), (0.1, 0.0))):
        assert torch.allclose(found[network, :300], torch.tensor(above), atol=1e-4)
        assert torch.allclose(found[network, 300:], torch.tensor(below), atol=1e-4)


def test_equal_scores_have_the_density_as_their_probability() -> None:
    assert probabilities(torch.full((1, 8), 3.0), torch.tensor([2])).tolist() == [pytest.approx([0.25] * 8)]


def test_samples_depend_on_the_seeds_alone_and_have_the_probabilities() -> None:
    chances = [torch.full((2, 4000), 0.3), torch.tensor([[0.0, 1.0], [1.0, 0.0]])]
    first, again, other = sample(chances, [1, 2]), sample(chances, [1, 2]), sample(chances, [3, 2])
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert torch.equal(first[0][1], other[0][1])
    assert not torch.equal(first[0][0], other[0][0])
    assert first[1].tolist() == [[False, True], [True, False]]
    share = first[0].double().mean(1)
    assert bool(((share - 0.3).abs() < 5 * math.sqrt(0.3 * 0.7 / 4000)).all())


def test_the_inverse_density_is_of_each_network() -> None:
    masks = torch.tensor([[[1, 0], [0, 0]], [[1, 1], [1, 1]], [[0, 0], [0, 0]]], dtype=torch.bool)
    assert inverse_density(masks).tolist() == [[[4.0]], [[1.0]], [[4.0]]]


def test_with_logistic_noise_the_highest_scores_are_a_sample_of_their_sigmoids() -> None:
    scores = torch.tensor([-3.0, -1.0, 0.0, 0.5, 2.0])
    noise = logistic(torch.empty(1, 40_000, 5), [3])[0]
    kept = (scores + noise > 0).double().mean(0)
    assert torch.allclose(kept, torch.sigmoid(scores).double(), atol=0.01)  # 4 standard deviations
    one, other = logistic(torch.empty(2, 6), [1, 2])
    assert not torch.equal(one, other)
    assert torch.equal(logistic(torch.empty(2, 6), [5, 1])[1], one)
    assert bool(logistic(torch.empty(1, 1000, dtype=torch.float32), [0]).isfinite().all())
