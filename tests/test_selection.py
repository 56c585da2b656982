"""Scores in campaigns: from a function in a separate file to the masks on disk."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

import tickets
from tickets.candidate import Candidate
from tickets.catalogue import ARMS, ArmEntry
from tickets.errors import InputError
from tickets.selection import mask_at_start

SALIENCY = """
batches = []

def saliency(candidate, *, power=1):
    batch = candidate.batch(60)
    batches.append(batch)
    gradients = candidate.gradients(examples=batch)
    return {name: (candidate.trained[name] * gradients[name]).abs() ** power for name in gradients}
"""


def test_a_gradient_score_of_the_users_own_with_an_option(module, campaign_file, tmp_path) -> None:
    name = module("scores", SALIENCY)
    prune = {"score": {"name": f"{name}:saliency", "power": 2}, "scope": "global", "rate": 0.3}
    file = campaign_file(tmp_path, rounds=1, replicates=1, prune=prune, train={"batch_size": 60})
    tickets.run(file, out=tmp_path / "out")
    saved = tickets.load(tmp_path / "out")
    dense, pruned = (saved.ticket(replicate=0, round=number) for number in (0, 1))
    network, batch = dense.build(), sys.modules[name].batches[-1]
    assert dense.trained is not None
    network.load_state_dict({key: torch.from_numpy(value) for key, value in dense.trained.items()})
    functional.cross_entropy(network(batch.inputs), batch.targets).backward()
    scores, kept = [], []
    for key, mask in pruned.mask.items():
        parameter = network.get_parameter(key)
        assert parameter.grad is not None
        scores.append((parameter * parameter.grad).detach().abs().reshape(-1).numpy())
        kept.append(mask.reshape(-1))
    ranked, stays = np.concatenate(scores), np.concatenate(kept)
    assert stays.sum() == stays.size - round(0.3 * stays.size)
    assert ranked[stays].min() >= ranked[~stays].max()
    assert saved.config()["prune"]["score"] == {"name": f"{name}:saliency", "power": 2}


def test_a_run_that_is_resumed_has_the_masks_of_one_without_a_stop(
    module, campaign_file, contents, watcher, tmp_path
) -> None:
    name = module("scores", SALIENCY)
    file = campaign_file(tmp_path, prune={"score": f"{name}:saliency"}, compute={"threads": 2})
    tickets.run(file, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        tickets.run(file, out=tmp_path / "resumed", listener=watcher((1, 3)))
    tickets.run(file, out=tmp_path / "resumed")
    whole, resumed = (
        {key: value for key, value in contents(tmp_path / folder).items() if "next_masks" in key}
        for folder in ("whole", "resumed")
    )
    assert len(whole) == 3
    assert resumed == whole


def test_options_that_a_score_does_not_have_are_refused_before_any_training(module, campaign_file, tmp_path) -> None:
    name = module("scores", SALIENCY)
    file = campaign_file(tmp_path, prune={"score": {"name": f"{name}:saliency", "powr": 2}})
    with pytest.raises(InputError, match=r"prune\.score\.powr = 2: .* has no such option; did you mean 'power'"):
        tickets.run(file, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_gradients_of_a_training_that_diverged_fail_no_run(module, campaign_file, tmp_path) -> None:
    name = module("scores", SALIENCY)
    train = {"optimizer": "sgd", "learning_rate": 1e30}
    file = campaign_file(tmp_path, rounds=1, replicates=1, prune={"score": f"{name}:saliency"}, train=train)
    tickets.run(file, out=tmp_path / "out")
    rounds = tickets.load(tmp_path / "out").rounds
    ticket = rounds[rounds["arm"] == "ticket"]
    assert ticket["diverged"].all()
    assert ticket["density"].tolist() == [1.0, pytest.approx(0.8, abs=1e-3)]


def snip(candidate: Candidate) -> dict[str, torch.Tensor]:
    gradients = candidate.gradients(examples=candidate.batch(per_class=5))
    return {name: (candidate.trained[name] * gradient).abs() for name, gradient in gradients.items()}


seen: list[tuple[Candidate, dict[str, torch.Tensor]]] = []


def pruned_at_start(origin) -> dict[str, torch.Tensor]:
    candidate = origin.candidate("layer")
    masks = mask_at_start(snip, candidate)
    seen.append((candidate, masks))
    return masks


def test_an_arm_whose_mask_is_computed_from_the_initial_values_alone(campaign_file, tmp_path, monkeypatch) -> None:
    entry = ArmEntry(f"{__name__}:pruned_at_start", "tickets.arms:rewound", "made for a test")
    monkeypatch.setitem(ARMS, "random_mask", entry)
    file = campaign_file(
        tmp_path, replicates=1, arms=["ticket", "random_mask"], train={"steps": 10}, rewind={"step": 5}
    )
    seen.clear()
    tickets.run(file, out=tmp_path / "out")
    saved = tickets.load(tmp_path / "out")
    before = None
    for number in (1, 2):
        arm, ticket = saved.arm("random_mask", 0, number), saved.ticket(0, number)
        candidate, masks = next((c, m) for c, m in reversed(seen) if c.round == number)
        assert candidate.replicate == 0
        for name, mask in masks.items():
            assert np.array_equal(arm.mask[name], mask.numpy())
            assert arm.mask[name].sum() == ticket.mask[name].sum()
            assert np.array_equal(candidate.initial[name].numpy(), saved.ticket(0, 0).values[name])
            assert before is None or not (mask & ~before[name]).any(), "the same scores at every density"
        before = masks
    assert math.isclose(arm.density, ticket.density)
