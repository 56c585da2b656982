"""Masks that scores compute before any training, also for networks of three layers and of convolutions."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from candidates import CLASSES, after_round, at_start, inputs_of
from torch import Tensor, nn
from torch.nn import functional

from tickets.candidate import Batch, Candidate
from tickets.errors import InputError, UserCodeError
from tickets.scores import Weights, by_tensor
from tickets.scores.criteria import large_final_same_sign, large_init_large_final
from tickets.scores.layer_densities import erk
from tickets.scores.saliency import grasp, snip
from tickets.selection import mask_at_start


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, CLASSES))


def conv() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 6)),
        nn.Conv1d(1, 4, 3),
        nn.BatchNorm1d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, CLASSES),
    )


def flat(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors.values()])


def prunable_of(module: nn.Module, candidate: Candidate) -> list[nn.Parameter]:
    return [dict(module.named_parameters())[name] for name in candidate.mask]


def test_snip_is_that_of_a_plain_loop_and_one_ranking_over_all_tensors() -> None:
    candidate = at_start(mlp, inputs_of(6, examples=90), density=0.1)
    module, batch = candidate.build(), candidate.batch(per_class=10)
    losses = [functional.cross_entropy(module(x), y, reduction="sum") for x, y in split(batch)]
    (sum(losses) / 30).backward()
    expected = torch.cat([(p * p.grad).detach().abs().reshape(-1) for p in prunable_of(module, candidate)])
    torch.testing.assert_close(flat(snip(candidate)), expected, rtol=1e-5, atol=1e-9)
    mask = mask_at_start(f"{__name__}:snip", candidate)
    kept = flat(mask)
    assert int(kept.sum()) == sum(round(0.1 * numel) for numel in (48, 40, 15)) == candidate.budget.total
    assert expected[kept].min() >= expected[~kept].max()


def split(batch: Batch) -> list[tuple[Tensor, Tensor]]:
    return list(zip(batch.inputs.split(10), batch.targets.split(10), strict=True))


def test_grasp_is_that_of_a_plain_double_backward() -> None:
    candidate = at_start(mlp, inputs_of(6, examples=90), train={"batch_size": 30})
    module, batch = candidate.build(), candidate.batch(per_class=10)
    parameters = prunable_of(module, candidate)
    loss = functional.cross_entropy(module(batch.inputs) / 200, batch.targets)
    first = torch.autograd.grad(loss, parameters, create_graph=True)
    second = torch.autograd.grad(sum((g * g.detach()).sum() for g in first), parameters)
    expected = torch.cat([(p * h).detach().reshape(-1) for p, h in zip(parameters, second, strict=True)])
    torch.testing.assert_close(flat(grasp(candidate)), expected, rtol=1e-4, atol=1e-12)
    assert int(flat(mask_at_start(grasp, candidate)).sum()) == candidate.budget.total


@pytest.mark.parametrize("build", [mlp, conv])
def test_synflow_is_that_of_a_plain_loop(build: Callable[[], nn.Module]) -> None:
    candidate = at_start(build, inputs_of(6), density=0.2)
    module = candidate.build().double().eval()
    for value in (*module.parameters(), *module.buffers()):
        value.data = value.data.abs()
    parameters = prunable_of(module, candidate)
    masks, total = [torch.ones_like(p, dtype=torch.bool) for p in parameters], sum(p.numel() for p in parameters)
    density = candidate.budget.total / total
    for iteration in range(1, 101):
        pruned = copy.deepcopy(module)
        copies = prunable_of(pruned, candidate)
        for parameter, mask in zip(copies, masks, strict=True):
            parameter.data *= mask
        pruned(torch.ones(1, 6, dtype=torch.float64)).sum().backward()
        scores = torch.cat([(p * p.grad).detach().reshape(-1) for p in copies])
        scores[~torch.cat([mask.reshape(-1) for mask in masks])] = -1.0
        order = scores.argsort(descending=True, stable=True)[: round(total * density ** (iteration / 100))]
        kept = torch.zeros(total, dtype=torch.bool)
        kept[order] = True
        pieces = kept.split([p.numel() for p in parameters])
        masks = [piece.reshape(p.shape) for p, piece in zip(parameters, pieces, strict=True)]
    found = mask_at_start("synflow", candidate)
    assert list(found) == list(candidate.mask)
    for mask, expected in zip(found.values(), masks, strict=True):
        assert torch.equal(mask, expected)
    assert all(mask.any() for mask in found.values()), "no layer is pruned altogether"


def test_erk_has_the_published_layer_densities_and_the_exact_total() -> None:
    candidate = at_start(mlp, inputs_of(6), density=0.3)
    mask = mask_at_start(erk, candidate)
    assert sum(int(kept.sum()) for kept in mask.values()) == candidate.budget.total == 14 + 12 + 4
    raw = {name: sum(kept.shape) / kept.numel() for name, kept in mask.items()}
    scale = 30 / sum(raw[name] * kept.numel() for name, kept in mask.items())
    for name, kept in mask.items():
        assert abs(int(kept.sum()) - scale * raw[name] * kept.numel()) <= 1
    dense = mask_at_start(erk, at_start(mlp, inputs_of(6), density=0.9))
    assert dense["4.weight"].all()


def test_criteria_of_both_ends() -> None:
    candidate = after_round(mlp, inputs_of(6))
    for name in candidate.mask:
        w, theta = candidate.trained[name], candidate.theta0[name]
        assert torch.equal(
            large_init_large_final(candidate, a=0.5)[name], torch.stack([0.5 * w.abs(), theta.abs()]).amin(0)
        )
        assert torch.equal(large_final_same_sign(candidate)[name], torch.where(w * theta > 0, w.abs(), 0.0))


# Masks before any training


def test_before_any_training_nothing_is_pruned_and_the_ends_are_one() -> None:
    candidate = at_start(mlp, inputs_of(6), density=0.25, number=4)
    assert candidate.round == 4
    assert all(bool(kept.all()) for kept in candidate.mask.values())
    for name, value in candidate.values.initial.items():
        assert torch.equal(candidate.values.trained[name], value)
        assert torch.equal(candidate.values.theta0[name], value)


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_as_many_weights_remain_as_in_the_rounds_masks(scope: str) -> None:
    candidate = at_start(mlp, inputs_of(6), density=0.25, scope=scope)
    masks = mask_at_start("magnitude", candidate)
    counts = [int(kept.sum()) for kept in masks.values()]
    assert sum(counts) == 12 + 10 + 4
    assert (counts == [12, 10, 4]) == (scope == "layer")
    ranked = flat({name: value.abs() for name, value in candidate.initial.items()})
    if scope == "global":
        assert ranked[flat(masks)].min() >= ranked[~flat(masks)].max()
    for name, kept in masks.items():
        size = candidate.initial[name].abs()
        assert size[kept].min() >= size[~kept].max()


def test_at_equal_scores_the_lower_index_stays() -> None:
    @by_tensor
    def equal(weights: Weights) -> Tensor:
        return torch.zeros_like(weights.trained)

    kept = flat(mask_at_start(equal, at_start(mlp, inputs_of(6), density=0.25)))
    assert kept.tolist() == [True] * 26 + [False] * 77


def test_options_and_errors_name_the_score() -> None:
    candidate = at_start(mlp, inputs_of(6, examples=90))
    one, other = (mask_at_start(f"{__name__}:snip", candidate, {"per_class": count}) for count in (1, 10))
    assert not torch.equal(flat(one), flat(other))
    assert torch.equal(flat(mask_at_start(snip, candidate, {"per_class": 1})), flat(one))
    with pytest.raises(InputError, match=r"score\.per_clas = 1: .* has no such option; did you mean 'per_class'"):
        mask_at_start(f"{__name__}:snip", candidate, {"per_clas": 1})
    with pytest.raises(
        InputError, match=r"score = 'snip': per_class = 99: must be from 1 to 30, the training examples"
    ):
        mask_at_start(snip, candidate, {"per_class": 99})
    with pytest.raises(UserCodeError, match=r"score = 'none': returned nothing for 0\.weight"):
        mask_at_start(lambda_named_none(), candidate)


def lambda_named_none() -> Callable[[Candidate], dict[str, Tensor]]:
    def none(candidate: Candidate) -> dict[str, Tensor]:
        return {}

    return none
