"""Rounds of a tiny run: counts, rewinding, the arms' starting values, streams, failure."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from tickets import groups
from tickets.arms import Origin
from tickets.binding import resolve
from tickets.catalogue import ARMS
from tickets.chains import Chain, density, first_chain, first_masks
from tickets.config import ArmConfig, parse_run
from tickets.data import Examples
from tickets.errors import InputError
from tickets.fitting import fit
from tickets.planning import plan_execution
from tickets.pruning import Budget
from tickets.ready import ReadyRun, ready_run
from tickets.rounds import Network, RoundResult, train_round
from tickets.scores import by_tensor
from tickets.seeds import stream
from tickets.selection import budget_after
from tickets.source import Source
from tickets.stack.optimizers import make_optimizer
from tickets.stack.strategies import begin

CPU = torch.device("cpu")
TICKET = (ArmConfig(name="ticket"), 0)


def norm_net(input_shape: tuple[int, ...], classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(input_shape[0], 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, classes)
    )


def conv_net(input_shape: tuple[int, ...], classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Unflatten(1, (1, input_shape[0])), nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(4 * (input_shape[0] - 2), 5), nn.ReLU(), nn.Linear(5, classes),
    )  # fmt: skip


@by_tensor
def signs_kept(weights: Any) -> Tensor:
    """A score of the user's own: only what it was trained to, with its sign."""
    return weights.trained


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small only wait for the threads, long on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@functools.cache
def source() -> Source:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(80, 10, generator=generator)
    labels = inputs[:, :3].argmax(1)
    cuts = [slice(0, 50), slice(50, 62), slice(62, 80)]
    parts = [part for cut in cuts for part in (inputs[cut], labels[cut])]
    return Source("made", "00", Examples(*parts, classes=3))


def setting_of(**changes: Any) -> ReadyRun:
    table: dict[str, Any] = {
        "name": "tiny",
        "seed": 7,
        "data": "digits",
        "model": {"name": "mlp", "widths": [8, 6]},
        "train": {"steps": 12, "batch_size": 10, "evaluate_every": 4, "learning_rate": 0.03},
    }
    for key, value in changes.items():
        table[key] = {**table[key], **value} if key == "train" else value
    fitted = fit(parse_run(table), source())
    return ready_run(fitted, plan_execution(fitted, CPU), CPU)


def play(setting: ReadyRun, chains: list[Chain], number: int, *arms: str | ArmConfig | tuple) -> RoundResult:
    def pair(arm: str | ArmConfig | tuple) -> tuple[ArmConfig, int]:
        if isinstance(arm, tuple):
            return ArmConfig(name=arm[0]), arm[1]
        return (ArmConfig(name=arm) if isinstance(arm, str) else arm), 0

    return train_round(setting, "id", chains, number, [pair(arm) for arm in arms or ("ticket",)])


def rounds_of(setting: ReadyRun, last: int, replicates: int = 1) -> list[RoundResult]:
    """The ticket's rounds from 0 to the last, one after the other."""
    chains = [first_chain(setting, replicate) for replicate in range(replicates)]
    results = []
    for number in range(last + 1):
        results.append(play(setting, chains, number))
        chains = list(results[-1].chains)
    return results


def of(result: RoundResult, arm: str, replicate: int = 0, draw: int = 0) -> Network:
    (found,) = (
        network
        for network in result.networks
        if (network.label.arm, network.label.replicate, network.label.draw) == (arm, replicate, draw)
    )
    return found


def counts(masks: Mapping[str, Tensor]) -> list[int]:
    return [int(mask.sum()) for mask in masks.values()]


def assert_equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(other[name], value), name


def masked(values: Mapping[str, Tensor], mask: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.where(mask[name], value, 0.0) if name in mask else value for name, value in values.items()}


# Counts and nesting


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


# Rewinding


def test_a_ticket_starts_from_theta0_bit_for_bit() -> None:
    setting = setting_of(model={"name": f"{__name__}:norm_net"})
    theta0 = first_chain(setting, 0).theta0
    assert theta0["1.running_mean"].tolist() == [0.0] * 8
    for result in rounds_of(setting, 3):
        ticket = of(result, "ticket")
        assert_equal(ticket.initial, masked(theta0, ticket.mask))
        assert ticket.trained["1.running_mean"].abs().min() > 0
        assert ticket.trained["1.num_batches_tracked"] == 12
        (chain,) = result.chains
        assert_equal(chain.theta0, theta0)
        assert_equal(chain.rewound, theta0)
        assert chain.optimizer == {}


REWINDS = {
    "adam": {"optimizer": "adam", "weight_decay": 0.01},
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "schedule": "step", "milestones": [6], "warmup_steps": 3},
    "adamw": {"optimizer": "adamw", "schedule": "cosine"},
}


@pytest.mark.parametrize("optimizer", REWINDS)
@pytest.mark.parametrize("model", [{"name": "mlp", "widths": [8, 6]}, {"name": f"{__name__}:norm_net"}])
def test_with_nothing_pruned_a_rewound_ticket_ends_as_the_dense_one(model, optimizer: str) -> None:
    # The whole of it: values, statistics, optimizer state, schedule, data order. One thing amiss and bits differ.
    setting = setting_of(model=model, prune={"rate": 0}, rewind={"step": 5}, train=REWINDS[optimizer])
    first, second, third = rounds_of(setting, 2)
    assert first.curves["step"].tolist() == [0, 4, 8, 12]
    for later in (second, third):
        assert_equal(of(later, "ticket").trained, of(first, "ticket").trained)
        assert later.curves["step"].tolist() == [5, 8, 12]
        metrics = list(later.curves.columns[6:])
        one, other = (result.curves[result.curves["step"] >= 8][metrics] for result in (first, later))
        pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True), check_exact=True)
        assert_equal(later.chains[0].rewound, first.chains[0].rewound)


@pytest.mark.parametrize("optimizer", REWINDS)
def test_rewinding_to_a_later_step_takes_everything_of_that_step(optimizer: str) -> None:
    # Under a constant learning rate the values at step 5 are those that a training of 5 steps ends at.
    recipe = {**REWINDS[optimizer], "schedule": "constant", "milestones": []}
    model = {"name": f"{__name__}:norm_net"}
    short = of(rounds_of(setting_of(model=model, train={**recipe, "steps": 5}), 0)[0], "ticket")
    setting = setting_of(model=model, rewind={"step": 5}, prune={"rate": 0.5}, train=recipe)
    results = rounds_of(setting, 3)
    for result in results:
        (chain,) = result.chains
        assert_equal(chain.rewound, short.trained)
        assert chain.rewound["1.num_batches_tracked"] == 5
        moment = "momentum_buffer" if optimizer == "sgd" else "exp_avg"
        assert set(chain.optimizer) == ({moment} if optimizer == "sgd" else {moment, "exp_avg_sq", "step"})
        assert chain.optimizer[moment].keys() == set(setting.parameters)
        assert (chain.optimizer[moment]["0.weight"] != 0).all(), "the dense network's, not masked"
        assert_equal(chain.theta0, first_chain(setting, 0).theta0)
    assert_equal(of(results[0], "ticket").initial, first_chain(setting, 0).theta0)
    for result in results[1:]:
        ticket = of(result, "ticket")
        assert_equal(ticket.initial, masked(short.trained, ticket.mask))
        assert ticket.trained["1.num_batches_tracked"] == 12


def test_an_arm_without_the_rewound_values_has_no_optimizer_state_of_theirs(monkeypatch) -> None:
    setting = setting_of(rewind={"step": 5}, compute={"threads": 1, "strategy": "layered"})
    (chain,) = rounds_of(setting, 0)[0].chains
    made = []

    def watched(recipe, parameters, state):
        made.append((len(next(iter(parameters.values()))), sorted(state)))
        return make_optimizer(recipe, parameters, state)

    monkeypatch.setattr("tickets.stack.stepwise.make_optimizer", watched)
    play(setting, [chain], 1, "ticket", "reinit", "random_mask", "shuffle", "constant")
    with_state = sum(count for count, state in made if state == ["exp_avg", "exp_avg_sq", "step"])
    without = sum(count for count, state in made if state == [])
    assert (with_state, without) == (2, 3), "the ticket and random_mask go on; the others begin"


def test_round_0_gives_every_arm_the_full_schedule_and_later_rounds_begin_at_the_rewind_step() -> None:
    setting = setting_of(rewind={"step": 5})
    arms = ("ticket", "reinit", "random_mask", "sign_constant", ArmConfig(name="constant", start=0))
    first = play(setting, [first_chain(setting, r) for r in (0, 1)], 0, *arms)
    second = play(setting, list(first.chains), 1, *arms)

    def steps(result: RoundResult) -> dict[str, list[int]]:
        rows = result.curves[result.curves["replicate"] == 1]
        return {arm: group["step"].tolist() for arm, group in rows.groupby("arm")}

    assert steps(first) == {arm: [0, 4, 8, 12] for arm in steps(first)}
    assert steps(second) == {arm: [5, 8, 12] for arm in steps(first)} | {"constant": [0, 4, 8, 12]}
    assert len(steps(second)) == 5
    assert len(second.rounds) == len(second.networks) == 10


def test_nothing_that_a_round_gives_is_changed_by_the_next() -> None:
    setting = setting_of(model={"name": f"{__name__}:norm_net"}, rewind={"step": 5})
    arms = tuple(ARMS)
    first = play(setting, [first_chain(setting, 0)], 0, *arms)

    def everything(result: RoundResult) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for network in result.networks:
            for part in ("mask", "initial", "trained"):
                found |= {f"{network.label.arm} {part} {k}": v for k, v in getattr(network, part).items()}
        for chain in result.chains:
            found |= {
                f"{part} {k}": v for part in ("theta0", "rewound", "masks") for k, v in getattr(chain, part).items()
            }
            found |= {f"{state} {k}": v for state, tensors in chain.optimizer.items() for k, v in tensors.items()}
        return found

    before = {name: tensor.clone() for name, tensor in everything(first).items()}
    play(setting, list(play(setting, list(first.chains), 1, *arms).chains), 2, *arms)
    assert_equal(everything(first), before)
    (chain,) = first.chains
    ours = {value.untyped_storage().data_ptr() for value in [*chain.theta0.values(), *chain.rewound.values()]}
    theirs = {value.untyped_storage().data_ptr() for network in first.networks for value in network.trained.values()}
    assert not ours & theirs


# Arms


def origin_of(setting: ReadyRun, chain: Chain, number: int, draw: int, value: float = 0.0) -> Origin:
    return Origin(
        chain.masks,
        chain.theta0,
        chain.rewound,
        frozenset(name for name in setting.parameters if name.endswith("bias")),
        setting.fresh,
        lambda purpose: stream(setting.run.seed, chain.replicate, purpose, number, draw),
    )


@pytest.mark.parametrize("step", [0, 5])
def test_every_arm_starts_from_what_its_rules_say(step: int) -> None:
    setting = setting_of(model={"name": f"{__name__}:norm_net"}, rewind={"step": step})
    chains = list(rounds_of(setting, 2, 2)[-1].chains)
    arms = [ArmConfig(name=name) for name in ARMS if name != "constant"] + [ArmConfig(name="constant", value=0.25)]
    result = play(setting, chains, 3, *arms)
    assert len(result.networks) == 2 * len(ARMS)
    for chain in chains:
        for arm in arms:
            network = of(result, arm.name, chain.replicate)
            origin = origin_of(setting, chain, 3, 0)
            mask = resolve(ARMS[arm.name].mask)(origin)
            assert_equal(network.mask, mask)
            assert_equal(
                network.initial, masked(resolve(ARMS[arm.name].values)(origin, mask, **arm.options).values, mask)
            )
            assert counts(network.mask) == counts(chain.masks)
            for name, kept in mask.items():
                assert (network.trained[name][~kept] == 0).all()
            assert not all(torch.equal(network.trained[name], value) for name, value in network.initial.items())


def test_random_mask_starts_from_the_unmasked_values() -> None:
    setting = setting_of(prune={"rate": 0.5})
    (chain,) = rounds_of(setting, 1)[1].chains
    network = of(play(setting, [chain], 2, "ticket", "random_mask"), "random_mask")
    elsewhere = 0
    for name, places in network.mask.items():
        assert torch.equal(network.initial[name][places], chain.theta0[name][places])
        assert (network.initial[name][places] != 0).all()
        elsewhere += int((places & ~chain.masks[name]).sum())
    assert elsewhere > 20


def test_draws_differ_and_share_what_they_should() -> None:
    setting = setting_of(prune={"rate": 0.5})
    (chain,) = rounds_of(setting, 1)[1].chains
    arms = [(name, draw) for name in ARMS if ARMS[name].random for draw in (0, 1)]
    result = play(setting, [chain], 2, "ticket", *arms)
    for name, draw in arms:
        if draw == 1:
            zero, one = of(result, name), of(result, name, draw=1)
            assert torch.equal(zero.initial["1.weight"], one.initial["1.weight"]) == ARMS[name].own_order
            assert not torch.equal(zero.trained["1.weight"], one.trained["1.weight"])
            assert torch.equal(zero.mask["1.weight"], one.mask["1.weight"]) != ARMS[name].has_own_mask
    # Two arms with one rule in common differ in the other rule alone.
    assert_equal(of(result, "random_mask").mask, of(result, "random_mask_reinit").mask)
    there = of(result, "random_mask_reinit").mask["1.weight"] & chain.masks["1.weight"]
    one, other = (of(result, arm).initial["1.weight"] for arm in ("reinit", "random_mask_reinit"))
    assert torch.equal(one[there], other[there])


def test_rounds_and_replicates_have_random_masks_and_draws_of_their_own() -> None:
    setting = setting_of(prune={"rate": 0})
    chains = [first_chain(setting, replicate) for replicate in (0, 1)]
    half = [dataclasses.replace(chain, masks={k: v.clone() for k, v in chain.masks.items()}) for chain in chains]
    for chain in half:
        for mask in chain.masks.values():
            mask[:, ::2] = False
    results = [play(setting, half, number, "ticket", "random_mask", "reinit") for number in (1, 2)]
    for arm, part in (("random_mask", "mask"), ("reinit", "initial")):
        seen = {
            tuple(getattr(of(result, arm, r), part)["1.weight"].flatten().tolist())
            for result in results
            for r in (0, 1)
        }
        assert len(seen) == 4
    assert not torch.equal(chains[0].theta0["1.weight"], chains[1].theta0["1.weight"])


# Streams


def test_more_arms_or_replicates_change_nobody_elses_start() -> None:
    setting = setting_of(prune={"rate": 0.5})
    chains = list(rounds_of(setting, 0, 3)[0].chains)

    def starts(some: list[Chain], *arms: Any) -> dict[tuple, Network]:
        return {(n.label.replicate, n.label.arm, n.label.draw): n for n in play(setting, some, 1, *arms).networks}

    everyone = starts(chains, "ticket", "reinit", ("reinit", 1), "random_mask", "shuffle", "random_sign_constant")
    fewer = [
        starts(chains[:1], "ticket"),
        starts(chains[2:], "shuffle", "ticket", "random_mask"),
        starts(chains[1:], ("reinit", 1), "random_sign_constant"),
    ]
    for some in fewer:
        for key, network in some.items():
            assert_equal(network.mask, everyone[key].mask)
            assert_equal(network.initial, everyone[key].initial)


def test_first_chain_is_a_function_of_the_seed_and_the_replicate() -> None:
    one, other = setting_of(), setting_of(replicates=9, rounds=2, arms=["ticket"])
    assert_equal(first_chain(one, 3).theta0, first_chain(other, 3).theta0)
    for chain in (first_chain(one, 4), first_chain(setting_of(seed=8), 3)):
        assert not torch.equal(chain.theta0["1.weight"], first_chain(one, 3).theta0["1.weight"])


def seeds_of(monkeypatch, setting: ReadyRun, chains: list[Chain], number: int, *arms: Any) -> dict[tuple, Any]:
    """What each network trained with: its data order and its noise."""
    handed = []
    real = groups.train

    def watched(make, stack, seeds, *rest, **options):
        handed.extend(seeds)
        return real(make, stack, seeds, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(groups, "train", watched)
        result = play(setting, chains, number, *arms)
    labels = [(n.label.replicate, n.label.arm, n.label.draw) for n in result.networks]
    return dict(zip(labels, handed, strict=True))


def test_the_arms_of_a_replicate_have_its_data_order_in_every_round(monkeypatch) -> None:
    setting = setting_of(rewind={"step": 5})
    arms = ("ticket", "reinit", ("reinit", 1), "random_mask", ArmConfig(name="constant", start=0))
    first = play(setting, [first_chain(setting, r) for r in (0, 1)], 0)
    both = [
        seeds_of(monkeypatch, setting, [first_chain(setting, r) for r in (0, 1)], 0, *arms),
        seeds_of(monkeypatch, setting, list(first.chains), 1, *arms),
    ]
    for replicate in (0, 1):
        orders = {seeds.order for found in both for key, seeds in found.items() if key[0] == replicate}
        assert orders == {stream(7, replicate, "order")}
    noises = [seeds.noise for found in both for seeds in found.values()]
    assert len(set(noises)) == len(noises) == 20
    reordered = seeds_of(monkeypatch, setting, list(first.chains), 1, "ticket", "reorder", ("reorder", 1), "repeat")
    for replicate in (0, 1):
        own = [reordered[replicate, *which].order for which in (("ticket", 0), ("reorder", 0), ("reorder", 1))]
        assert len(set(own)) == 3
        assert reordered[replicate, "repeat", 0].order == own[0]
    alone = seeds_of(monkeypatch, setting, list(first.chains)[1:], 1, ("reinit", 1))
    assert alone[1, "reinit", 1] == both[1][1, "reinit", 1]


# Failure


def test_a_ticket_that_diverges_marks_the_later_rounds_of_its_replicate() -> None:
    setting = setting_of(prune={"rate": 0.5})
    sound, ill = (first_chain(setting, replicate) for replicate in (0, 1))
    broken = {name: value.clone() for name, value in ill.theta0.items()}
    broken["1.weight"][0, 0] = math.nan
    first = play(setting, [sound, dataclasses.replace(ill, theta0=broken, rewound=broken)], 0)
    assert dict(zip(first.rounds["replicate"], first.rounds["diverged"], strict=True)) == {0: False, 1: True}
    assert [chain.diverged for chain in first.chains] == [False, True]
    assert counts(first.chains[1].masks) == [40, 24, 9], "the count holds even so"
    # Even where nothing fails any more: masks that came from a failure say nothing.
    healed = dataclasses.replace(first.chains[1], theta0=ill.theta0, rewound=ill.theta0)
    second = play(setting, [first.chains[0], healed], 1, "ticket", "reinit")
    assert second.rounds.groupby("replicate")["diverged"].all().tolist() == [False, True]
    assert second.rounds.groupby("replicate")["diverged"].any().tolist() == [False, True]
    assert second.rounds.loc[second.rounds["replicate"] == 1, "final_test_accuracy"].isna().all()
    assert [chain.diverged for chain in second.chains] == [False, True]


def test_a_control_that_diverges_marks_itself_alone() -> None:
    setting = setting_of(prune={"rate": 0.5})
    result = play(setting, [first_chain(setting, 0)], 0, "ticket", ArmConfig(name="constant", value=1e38), "reinit")
    rows = result.rounds.set_index("arm")["diverged"]
    assert rows.to_dict() == {"ticket": False, "constant": True, "reinit": False}
    assert not result.chains[0].diverged


def test_without_the_ticket_there_is_no_next_round() -> None:
    setting = setting_of()
    assert play(setting, [first_chain(setting, 0)], 0, "reinit").chains == ()


def test_tick_counts_every_step_of_every_network() -> None:
    setting, taken = setting_of(rewind={"step": 5}), []
    chains = [first_chain(setting, r) for r in (0, 1)]
    arms = [(ArmConfig(name="ticket"), 0), (ArmConfig(name="constant", start=0), 0)]
    first = train_round(setting, "id", chains, 0, arms, taken.append)
    assert sum(taken) == 2 * 2 * 12
    taken.clear()
    train_round(setting, "id", first.chains, 1, arms, taken.append)
    assert sum(taken) == 2 * (7 + 12)


def test_the_ticket_once_more_is_the_ticket_and_another_order_is_another() -> None:
    setting = setting_of(compute={"strategy": "looped"})
    result = play(setting, [first_chain(setting, 0)], 0, "ticket", "repeat", "reorder", ("reorder", 1))
    ticket, repeat, reorder, another = (
        of(result, *which) for which in (("ticket",), ("repeat",), ("reorder",), ("reorder", 0, 1))
    )
    for network in (repeat, reorder, another):
        assert_equal(network.initial, ticket.initial)
        assert_equal(network.mask, ticket.mask)
    for name, value in ticket.trained.items():
        torch.testing.assert_close(repeat.trained[name], value, rtol=1e-5, atol=1e-6)
    apart = [
        (one.trained["1.weight"] - other.trained["1.weight"]).abs().max()
        for one, other in itertools.combinations([ticket, reorder, another], 2)
    ]
    assert min(apart) > 1e-3


def test_hidden_units_are_counted_if_the_run_says_so_and_nothing_else_changes() -> None:
    arms = ("ticket", ArmConfig(name="constant", value=0.5))
    counted, plain = setting_of(store={"units": True}), setting_of()
    result, without = (play(setting, [first_chain(setting, 0)], 0, *arms) for setting in (counted, plain))
    assert without.tables == {}
    units = result.tables["units"]
    pd.testing.assert_frame_equal(
        result.curves.drop(columns="density"), without.curves.drop(columns="density"), check_exact=True
    )
    for arm in ("ticket", "constant"):
        assert_equal(of(result, arm).trained, of(without, arm).trained)
    last = units[(units["step"] == 12) & (units["arm"] == "ticket")]
    ends = of(result, "ticket").trained
    for row, (name, after) in zip(last.to_dict("records"), [("1", "3"), ("3", "5")], strict=True):
        vectors = torch.cat([ends[f"{name}.weight"], ends[f"{name}.bias"][:, None], ends[f"{after}.weight"].T], 1)
        assert (row["layer"], row["distinct"]) == (name, len(torch.unique(vectors, dim=0)))
    start = units[(units["step"] == 0) & (units["arm"] == "constant")]
    assert start["distinct"].tolist() == [1.0, 1.0]


def test_a_model_whose_units_cannot_be_counted_is_refused() -> None:
    with pytest.raises(InputError, match=r"store\.units = true: hidden units are counted in an nn\.Sequential"):
        setting_of(model=f"{__name__}:norm_net", store={"units": True})


def test_rounds_are_sparse_or_elsewhere_from_half_the_weights_on_or_as_the_run_says(monkeypatch) -> None:
    def strategies(**changes: Any) -> list[str]:
        names = []

        def watched(name, *arguments, **options):
            names.append(name)
            return begin(name, *arguments, **options)

        setting = setting_of(prune={"rate": 0.25}, compute={"threads": 1, **changes})
        with monkeypatch.context() as patch:
            patch.setattr(groups, "begin", watched)
            assert [round(density(of(result, "ticket").mask), 2) for result in rounds_of(setting, 3)][2] > 0.5
        return names

    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert strategies() == ["sparse"] * 4
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert strategies() == ["layered", "layered", "layered", "sparse"]
    assert strategies(strategy="layered") == ["layered"] * 4
    assert strategies(strategy="sparse") == ["sparse"] * 4
