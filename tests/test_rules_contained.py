"""Arms of the user's: what their rules return, set and draw has no effect beyond the network that they are for."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

import tickets
from tests.test_arm_rules import MASK, RECIPE, THETA0, applied, origin
from tickets.arms import Start
from tickets.errors import UserCodeError
from tickets.store import verify

BUFFERS: dict[str, torch.Tensor] = {}


def refilled(origin):
    """A mask rule that refills one buffer for each tensor."""
    masks = {}
    for name, kept in origin.mask.items():
        buffer = BUFFERS.setdefault(name, torch.empty(kept.shape, dtype=torch.bool))
        generator = torch.Generator().manual_seed(origin.stream("places"))
        places = torch.randperm(kept.numel(), generator=generator)[: int(kept.sum())]
        buffer.view(-1).fill_(False)[places] = True
        masks[name] = buffer
    return masks


def cloned(origin):
    return {name: mask.clone() for name, mask in refilled(origin).items()}


def noisy(origin, mask):
    """A value rule that draws from the global generators."""
    shift = random.random() + float(np.random.rand())
    return {name: value + shift + torch.randn_like(value) for name, value in origin.theta0.items()}


def test_what_a_rule_returns_may_be_refilled_afterwards():
    mask = {name: kept.clone() for name, kept in MASK.items()}
    values = {name: value.clone() for name, value in THETA0.items()}
    state = {"exp_avg": {"w.weight": torch.ones(2, 3), "w.bias": torch.ones(2)}}
    state["exp_avg_sq"] = state["exp_avg"]
    state["step"] = {name: torch.tensor(7.0) for name in ("w.weight", "w.bias")}
    where = origin(recipe=RECIPE.model_copy(update={"optimizer": "adam"}))
    made, start = applied(lambda origin: mask, lambda origin, mask: Start(values, state, 7), where)
    for tensors in (mask, values, *state.values()):
        for tensor in tensors.values():
            tensor.zero_()
    assert torch.equal(made["w.weight"], MASK["w.weight"])
    assert all(torch.equal(start.values[name], value) for name, value in THETA0.items())
    assert torch.equal(start.optimizer["exp_avg"]["w.bias"], torch.ones(2))


def test_tensors_come_in_the_models_order_and_without_a_graph():
    def values(origin, mask):
        turned = dict(reversed(origin.theta0.items()))
        return {name: value.requires_grad_() * 1 for name, value in turned.items()}

    _, start = applied(values=values)
    assert list(start.values) == list(THETA0)
    assert not any(value.requires_grad for value in start.values.values())


def test_the_generators_are_seeded_for_a_rule_and_restored_after_it():
    def drawn(seed):
        where = replace(origin(), stream=lambda purpose: seed)
        return applied(values=noisy, where=where)[1].values["mean"]

    torch.manual_seed(1)
    first, after = drawn(1), torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))
    assert torch.equal(drawn(1), first)
    assert not torch.equal(drawn(2), first)


def test_a_default_type_that_a_rule_sets_ends_with_it():
    def values(origin, mask):
        torch.set_default_dtype(torch.float64)
        return origin.theta0

    applied(values=values)
    assert torch.get_default_dtype() == torch.float32


def test_trained_values_and_fresh_draws_are_copies():
    live = {name: value.clone() for name, value in THETA0.items()}

    def values(origin, mask):
        made = dict(THETA0)
        for tensors in (origin.read_trained(), origin.trained, origin.fresh(1)):
            for value in tensors.values():
                value.zero_()
        return made

    applied(values=values, where=origin(read_trained=lambda: live, fresh=lambda seed: live))
    assert all(torch.equal(live[name], value) for name, value in THETA0.items())


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"steps": "x"}, r'a recipe with steps = "x": must be a whole number'),
        ({"steps": 0}, "a recipe with steps = 0: must be .* 1"),
        (
            {"schedule": "step", "milestones": ["x"]},
            r'a recipe with milestones\[0\] = "x": must be a whole number',
        ),
    ],
)
def test_a_recipe_that_was_never_checked_is_refused_in_one_line(recwarn, changed, told):
    with pytest.raises(UserCodeError, match=told) as found:
        applied(values=lambda origin, mask: Start(origin.theta0, recipe=origin.recipe.model_copy(update=changed)))
    assert len(found.value.problems) == 1
    assert "\n" not in found.value.problems[0]
    assert not recwarn.list


def test_a_recipe_is_what_the_checks_make_of_it():
    changed = {"schedule": "step", "milestones": [5, 10]}
    _, start = applied(values=lambda origin, mask: Start(origin.theta0, recipe=RECIPE.model_copy(update=changed)))
    assert start.recipe.milestones == (5, 10)
    assert hash(start.recipe)


def own(name, **rules):
    return {"name": name, **{key: f"{__name__}:{value}" for key, value in rules.items()}}


def trained(campaign_file, folder, **changes):
    tickets.run(campaign_file(folder.parent, **changes), out=folder)
    return tickets.load(folder)


def test_each_replicate_has_the_mask_of_its_own(campaign_file, tmp_path):
    masks = [own("buffer", mask="refilled"), own("clean", mask="cloned")]
    saved = trained(campaign_file, tmp_path / "out", arms=["ticket", "reinit", *masks], replicates=3, rounds=1)
    for replicate in range(3):
        one, other = (saved.arm(arm, replicate, 1) for arm in ("buffer", "clean"))
        assert all(np.array_equal(one.mask[name], other.mask[name]) for name in one.mask)
    first, second = (saved.arm("buffer", replicate, 1).mask for replicate in (0, 1))
    assert any(not np.array_equal(first[name], second[name]) for name in first)


def test_a_rule_that_draws_gives_the_same_after_a_resume(campaign_file, tmp_path):
    arms = ["ticket", "reinit", own("noisy", values="noisy")]
    whole = trained(campaign_file, tmp_path / "whole", arms=arms, rounds=2)
    trained(campaign_file, tmp_path / "parts", arms=arms, rounds=1)
    torch.manual_seed(99)
    parts = trained(campaign_file, tmp_path / "parts", arms=arms, rounds=2)
    one, other = (saved.arm("noisy", 1, 2).values for saved in (whole, parts))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert not list(verify(tmp_path / "parts"))
