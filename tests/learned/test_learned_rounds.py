"""Rounds with arms whose masks are learned: what they start from, what stays, and what is reported."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import torch
from small_rounds import CPU, assert_equal, counts, of, play, setting_of, source
from torch import Tensor, nn

from tickets.chains import Chain, first_chain
from tickets.config import ArmConfig, parse_run
from tickets.data import Examples
from tickets.fitting import fit
from tickets.masks import random_places
from tickets.planning import plan_execution
from tickets.ready import ReadyRun, ready_run
from tickets.rounds import Network, RoundResult
from tickets.source import Source

SUPERMASKS = (
    ArmConfig(name="supermask"),
    ArmConfig(name="supermask", label="rescaled", rescale=True),
    ArmConfig(name="supermask", label="signs", weights="signed_constant"),
    ArmConfig(name="supermask", label="sampled", rescale=True, samples=3),
    ArmConfig(name="supermask", label="sampled_once", rescale=True, samples=1),
)
POPUPS = (
    ArmConfig(name="edge_popup"),
    ArmConfig(name="edge_popup", label="normal", weights="normal"),
    ArmConfig(name="edge_popup", label="adam", train={"optimizer": "adam", "momentum": 0.0, "learning_rate": 0.01}),
)
LEARNED = (*SUPERMASKS, *POPUPS)
ARMS = [
    "ticket",
    *({"name": arm.name, "label": arm.label, **({} if arm.label == arm.name else arm.options)} for arm in LEARNED),
]
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "mlp": {},
    "mixed": {"model": "learned_models:mixed"},
    "gated": {"model": "learned_models:gated", "prune": {"include": ["gru.weight*", "*in_proj_weight"]}},
    "few": {"train": {"evaluate_on": 6}},
}


@functools.cache
def played(kind: str, number: int = 1) -> tuple[ReadyRun, Chain, RoundResult]:
    """A round with every learned mask: at random places of 40 % of each tensor, or of a density for each tensor."""
    setting = setting_of(arms=ARMS, **SETTINGS[kind])
    chain = first_chain(setting, 0)
    if number:
        generator = torch.Generator().manual_seed(1)
        masks = {}
        for name, whole in chain.masks.items():
            half = torch.zeros(whole.numel(), dtype=torch.bool)
            half[: int(0.4 * whole.numel())] = True
            masks[name] = random_places(half.reshape(whole.shape), generator)
        chain = replace(chain, masks=masks)
    return setting, chain, play(setting, [chain], number, *LEARNED)


def fixed(arm: ArmConfig, network: Network, chain: Chain) -> dict[str, Tensor]:
    """The prunable values that a supermask's network must have where its mask keeps them."""
    values = {}
    for name, mask in network.mask.items():
        weights = chain.theta0[name]
        if arm.options["weights"] == "signed_constant":
            deviation = (weights.double() - weights.double().mean()).pow(2).mean().sqrt().float()
            weights = weights.sign() * deviation
        scale = torch.tensor(mask.numel() / int(mask.sum()) if arm.options["rescale"] else 1.0)
        values[name] = torch.where(mask, weights * scale, 0.0)
    return values


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_masks_have_the_counts_of_the_round_and_are_learned(kind: str) -> None:
    _, chain, result = played(kind)
    for arm in LEARNED:
        network = of(result, arm.label)
        assert counts(network.mask) == counts(chain.masks)
        assert any(not torch.equal(mask, chain.masks[name]) for name, mask in network.mask.items())
        for name, mask in network.mask.items():
            assert bool((network.trained[name][~mask] == 0).all())
    plain, sampled = of(result, "rescaled"), of(result, "sampled")
    assert_equal(plain.mask, sampled.mask)  # samples are for evaluations alone


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_weights_of_a_supermask_are_those_of_theta0_bit_for_bit(kind: str) -> None:
    setting, chain, result = played(kind)
    for arm in SUPERMASKS:
        network = of(result, arm.label)
        for name, wanted in fixed(arm, network, chain).items():
            if arm.options["weights"] == "initial":  # a deviation may be summed in another order
                assert torch.equal(network.trained[name], wanted), name
            assert torch.allclose(network.trained[name], wanted, rtol=1e-6, atol=0), name
        # Nothing else is trained, and only normalisation statistics are estimated.
        for name in set(setting.parameters) - set(network.mask):
            assert torch.equal(network.trained[name], chain.theta0[name]), name
        assert_equal(network.initial, network.trained)


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_weights_of_edge_popup_are_kaimings_for_the_density_and_biases_are_0(kind: str) -> None:
    setting, chain, result = played(kind)
    constant, normal, same = (of(result, arm.label) for arm in POPUPS)
    signs: list[bool] = []
    drawn: list[Tensor] = []
    for name, mask in constant.mask.items():
        fan_in, kept = mask[0].numel(), int(mask.sum())
        size = torch.tensor(math.sqrt(2 / fan_in) / math.sqrt(kept / mask.numel()))
        assert torch.allclose(constant.trained[name][mask].abs(), size, rtol=1e-6)
        drawn.append(normal.trained[name][normal.mask[name]] / size)
        signs += (constant.trained[name][mask] > 0).tolist()
        both = mask & same.mask[name]
        assert torch.equal(constant.trained[name][both], same.trained[name][both])  # one draw, whatever the recipe
    assert 0.7 < float(torch.cat(drawn).pow(2).mean().sqrt()) < 1.3
    assert 0.25 < sum(signs) / len(signs) < 0.75
    for network in (constant, normal):
        for name in set(setting.parameters) - set(network.mask):
            wanted = torch.zeros(()) if name in setting.biases else chain.theta0[name]
            assert bool((network.trained[name] == wanted).all()), name


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_last_numbers_are_those_of_the_mask_and_the_values_that_are_saved(kind: str) -> None:
    setting, _, result = played(kind)
    examples = source().examples
    last = result.curves[result.curves["step"] == 12].set_index("arm")
    for arm in LEARNED:
        module = setting.build()
        network = of(result, arm.label)
        assert_equal(network.initial, network.trained)
        module.load_state_dict(network.initial)
        with torch.no_grad():
            outputs = module.eval()(examples.test_inputs)
        accuracy = (outputs.argmax(1) == examples.test_labels).double().mean()
        assert last.loc[arm.label, "test_accuracy"] == float(accuracy)
        loss = nn.functional.cross_entropy(outputs, examples.test_labels)
        assert last.loc[arm.label, "test_loss"] == pytest.approx(float(loss), rel=1e-5)
        row = result.rounds.set_index("arm").loc[arm.label]
        assert row["final_test_accuracy"] == float(accuracy)
        assert not row["diverged"]


def test_running_statistics_are_estimated_and_saved() -> None:
    _, chain, result = played("mixed")
    for arm in LEARNED:
        network = of(result, arm.label)
        assert network.trained["norm.num_batches_tracked"] == 12
        assert not torch.equal(network.trained["norm.running_mean"], chain.theta0["norm.running_mean"])


def test_a_round_is_the_same_each_time_and_alone() -> None:
    setting, chain, result = played("mixed")
    for arm in (SUPERMASKS[0], POPUPS[0]):
        again = play(setting, [chain], 1, arm)
        assert_equal(of(again, arm.label).mask, of(result, arm.label).mask)
        assert_equal(of(again, arm.label).trained, of(result, arm.label).trained)


def test_draws_and_replicates_differ() -> None:
    setting, chain, _ = played("mlp")
    other = replace(first_chain(setting, 1), masks=chain.masks)
    for name in ("supermask", "edge_popup"):
        result = play(setting, [chain, other], 1, (name, 0), (name, 1))
        networks = [of(result, name, replicate, draw) for replicate in (0, 1) for draw in (0, 1)]
        assert (
            len({torch.cat([mask.flatten() for mask in one.mask.values()]).numpy().tobytes() for one in networks}) == 4
        )


def test_in_round_0_every_weight_is_kept_and_no_step_is_taken() -> None:
    _, chain, result = played("mlp", 0)
    assert not result.rounds["diverged"].any()
    assert not result.rounds.drop(columns=["run"]).isna().any(axis=None)
    for arm in LEARNED:
        network = of(result, arm.label)
        assert all(bool(mask.all()) for mask in network.mask.values())
        rows = result.curves[result.curves["arm"] == arm.label].drop(columns="step")
        if not arm.label.startswith("sampled"):
            assert (rows.nunique() == 1).all()
    assert_equal(of(result, "supermask").trained, chain.theta0)
    assert_equal(of(result, "rescaled").trained, chain.theta0)


def test_samples_are_averaged_between_and_the_ends_are_of_the_saved_mask() -> None:
    _, _, result = played("mlp")
    by_step = result.curves.set_index(["arm", "step"])
    for step, same in ((0, True), (4, False), (8, False), (12, True)):
        one, other = by_step.loc[("rescaled", step), "test_loss"], by_step.loc[("sampled", step), "test_loss"]
        assert bool(one == other) is same
        assert bool(other == by_step.loc[("sampled_once", step), "test_loss"]) is same
    rounds = result.rounds.set_index("arm")
    assert rounds.loc["sampled", "final_test_accuracy"] == rounds.loc["rescaled", "final_test_accuracy"]
    # What is reported of the early-stop step is of the mask of that step, not of samples.
    stop = int(rounds.loc["sampled", "early_stop_step"])
    assert rounds.loc["sampled", "early_stop_test_accuracy"] == by_step.loc[("rescaled", stop), "test_accuracy"]


def test_samples_are_evaluated_by_vmap_as_by_a_loop() -> None:
    arm, curves = SUPERMASKS[3], []
    for strategy in ("looped", "vectorised"):
        setting = setting_of(arms=["ticket", {"name": arm.name, **arm.options}], compute={"strategy": strategy})
        assert setting.plan.learned_strategy == strategy
        chain = first_chain(setting, 0)
        half = {name: torch.arange(mask.numel()).reshape(mask.shape) % 2 == 0 for name, mask in chain.masks.items()}
        curves.append(play(setting, [replace(chain, masks=half)], 1, arm).curves)
    pd.testing.assert_frame_equal(*curves, rtol=1e-4)


def test_a_learned_mask_is_better_than_chance() -> None:
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randn(500, 10, generator=generator)
    cuts = (slice(0, 300), slice(300, 350), slice(350, 500))
    parts = [part for cut in cuts for part in (inputs[cut], inputs[cut, :3].argmax(1))]
    arms = [{"name": arm.name, "label": arm.label, **arm.options} for arm in (*SUPERMASKS[:2], *POPUPS[:2])]
    train = {"steps": 200, "batch_size": 50, "evaluate_every": 200}
    table = {"name": "t", "data": "digits", "model": {"name": "mlp", "widths": [64]}, "arms": ["ticket", *arms]}
    fitted = fit(parse_run({**table, "train": train}), Source("made", "00", Examples(*parts, classes=3)))
    setting = ready_run(fitted, plan_execution(fitted, CPU), CPU)
    chain = first_chain(setting, 0)
    half = {name: torch.arange(mask.numel()).reshape(mask.shape) % 2 == 0 for name, mask in chain.masks.items()}
    result = play(setting, [replace(chain, masks=half)], 1, *setting.run.arms[1:])
    accuracy = pd.Series(result.rounds["final_test_accuracy"].to_numpy(), result.rounds["arm"])
    assert (accuracy > 0.6).all(), accuracy  # chance: 1/3


def test_scores_that_run_away_are_a_training_that_diverged() -> None:
    setting, chain, _ = played("mlp")
    arm = ArmConfig(name="edge_popup", train={"learning_rate": 1e38, "weight_decay": 1e5})
    result = play(setting, [chain], 1, arm)
    assert result.rounds["diverged"].all()
    assert counts(of(result, "edge_popup").mask) == counts(chain.masks)
    assert result.rounds["final_test_accuracy"].isna().all()
