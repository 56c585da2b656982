"""The gradient of a score, straight through the choice of the mask, against autograd and differences in the test."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tickets.learned.execution import MaskLearning
from tickets.learned.learning import Learning
from tickets.learned.masks import probabilities, sample
from tickets.seeds import stream
from tickets.stack.looped import Looped
from tickets.stack.vectorised import Vectorised

SHAPES = {"0.weight": (4, 3), "2.weight": (2, 4)}
COUNTS = {"0.weight": torch.tensor([5, 7]), "2.weight": torch.tensor([3, 4])}
NETWORKS, SEEDS = 2, (7, 8)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


FIXED = {name: drawn(index, NETWORKS, *shape) for index, (name, shape) in enumerate(SHAPES.items())}
SCORES = {name: drawn(10 + index, NETWORKS, *shape) for index, (name, shape) in enumerate(SHAPES.items())}
BIASES = {"0.bias": drawn(20, NETWORKS, 4), "2.bias": drawn(21, NETWORKS, 2)}
X, Y = drawn(30, NETWORKS, 6, 3), torch.tensor([[0, 1, 1, 0, 1, 0], [1, 1, 0, 0, 0, 1]])


def noise(index: int) -> int:
    return 100 + index


def learned(kind: Any, learning: Learning) -> tuple[dict[str, Tensor], Tensor]:
    """The gradients of the scores, and outputs for the examples of the first network."""
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in SHAPES)
    execution = MaskLearning(kind(module, cross_entropy), FIXED, COUNTS, learning, SEEDS)
    scores = {name: tensor.clone().requires_grad_() for name, tensor in SCORES.items()}
    outputs = execution.logits(scores, BIASES, X[0])
    assert execution.gradients(scores, BIASES, X, Y, noise) == {}
    gradients = {}
    for name, score in scores.items():
        assert score.grad is not None
        gradients[name] = score.grad
    return gradients, outputs


def loss(weights: dict[str, Tensor], network: int) -> Tensor:
    hidden = torch.tanh(X[network] @ weights["0.weight"].T + BIASES["0.bias"][network])
    return cross_entropy(hidden @ weights["2.weight"].T + BIASES["2.bias"][network], Y[network])


def slopes_of_weights(weights: dict[str, Tensor], network: int) -> dict[str, Tensor]:
    """dL/dw of every weight, also of those that are 0, by central differences."""
    found = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for name, weight in weights.items():
        for place in range(weight.numel()):
            ends = []
            for sign in (1, -1):
                moved = {key: tensor.clone() for key, tensor in weights.items()}
                moved[name].view(-1)[place] += sign * 1e-5
                ends.append(loss(moved, network))
            found[name].view(-1)[place] = (ends[0] - ends[1]) / 2e-5
    return found


@pytest.mark.parametrize("kind", [Looped, Vectorised])
def test_edge_popup_passes_the_gradient_of_the_weight_times_its_value_and_the_sign_of_the_score(kind: Any) -> None:
    found, outputs = learned(kind, Learning("edge_popup"))
    for network in range(NETWORKS):
        weights = {}
        for name, scores in SCORES.items():
            by_size = scores[network].abs().flatten().sort(descending=True).values
            kept = scores[network].abs() >= by_size[COUNTS[name][network] - 1]
            assert int(kept.sum()) == COUNTS[name][network]
            weights[name] = torch.where(kept, FIXED[name][network], 0.0)
        for name, slope in slopes_of_weights(weights, network).items():
            expected = slope * FIXED[name][network] * SCORES[name][network].sign()
            assert torch.allclose(found[name][network], expected, rtol=1e-5, atol=1e-9)
            left_out = weights[name] == 0
            assert bool((expected[left_out] != 0).any()), "weights that are left out get a gradient too"
        hidden = torch.tanh(X[0] @ weights["0.weight"].T + BIASES["0.bias"][network])
        expected = hidden @ weights["2.weight"].T + BIASES["2.bias"][network]
        assert torch.allclose(outputs[network], expected)


class Popped(torch.autograd.Function):
    """The highest entries as ones; the gradient passes as it is."""

    @staticmethod
    def forward(ctx: Any, sizes: Tensor, keep: int) -> Tensor:
        mask = torch.zeros_like(sizes)
        mask.view(-1)[sizes.flatten().argsort(descending=True)[:keep]] = 1.0
        return mask

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return gradient, None


def test_edge_popup_is_what_autograd_gives_with_a_choice_that_is_the_identity_on_the_way_back() -> None:
    found, _ = learned(Looped, Learning("edge_popup"))
    for network in range(NETWORKS):
        scores = {name: tensor[network].clone().requires_grad_() for name, tensor in SCORES.items()}
        masks = {name: Popped.apply(score.abs(), int(COUNTS[name][network])) for name, score in scores.items()}
        loss({name: FIXED[name][network] * mask for name, mask in masks.items()}, network).backward()
        for name, score in scores.items():
            assert score.grad is not None
            assert torch.allclose(found[name][network], score.grad)


@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize("kind", [Looped, Vectorised])
def test_a_supermask_passes_the_gradient_of_the_weight_times_its_value_and_the_slope_of_the_sigmoid(
    kind: Any, rescale: bool
) -> None:
    found, outputs = learned(kind, Learning("supermask", rescale))
    chances = {name: probabilities(score, COUNTS[name]) for name, score in SCORES.items()}
    masks = dict(
        zip(chances, sample(list(chances.values()), [stream(noise(i), "supermask") for i in (0, 1)]), strict=True)
    )
    for network in range(NETWORKS):
        kept = {name: mask[network] for name, mask in masks.items()}
        factors = {name: kept[name].numel() / int(kept[name].sum()) if rescale else 1.0 for name in kept}
        weights = {name: torch.where(kept[name], FIXED[name][network] * factors[name], 0.0) for name in kept}
        for name, slope in slopes_of_weights(weights, network).items():
            p = chances[name][network]
            expected = slope * FIXED[name][network] * factors[name] * p * (1 - p)
            assert torch.allclose(found[name][network], expected, rtol=1e-5, atol=1e-9)
        # It is evaluated by a sample of its masks with exactly the count.
        weights = {}
        for name, score in SCORES.items():
            count = int(COUNTS[name][network])
            chosen = torch.zeros(score[network].numel(), dtype=torch.bool)
            generator = torch.Generator().manual_seed(stream(SEEDS[network], name))
            uniform = torch.rand(score[network].numel(), generator=generator, dtype=torch.float64)
            noisy = score[network].flatten() + (uniform / (1 - uniform)).log()
            chosen[noisy.argsort(descending=True)[:count]] = True
            factor = chosen.numel() / count if rescale else 1.0
            weights[name] = torch.where(chosen.view_as(score[network]), FIXED[name][network] * factor, 0.0)
        hidden = torch.tanh(X[0] @ weights["0.weight"].T + BIASES["0.bias"][network])
        assert torch.allclose(outputs[network], hidden @ weights["2.weight"].T + BIASES["2.bias"][network])


def test_scores_that_are_not_finite_give_no_numbers() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    execution = MaskLearning(Looped(module, cross_entropy), FIXED, COUNTS, Learning("edge_popup"))
    scores = {name: tensor.clone() for name, tensor in SCORES.items()}
    scores["2.weight"][1, 0, 0] = float("nan")
    outputs = execution.logits(scores, BIASES, X[0])
    assert bool(outputs[0].isfinite().all())
    assert bool(outputs[1].isnan().all())
