"""Rewinding in the rounds of a tiny run: values, statistics, optimizer state and schedule of the rewind step."""

from __future__ import annotations

import pandas as pd
import pytest
from small_rounds import (
    assert_equal,
    masked,
    norm_net,  # noqa: F401 - named in strings
    of,
    play,
    rounds_of,
    setting_of,
)
from torch import Tensor

from tickets.catalogue import ARMS
from tickets.chains import first_chain
from tickets.config import ArmConfig
from tickets.rounds import RoundResult
from tickets.stack.optimizers import make_optimizer

pytestmark = pytest.mark.usefixtures("one_thread")


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
    arms = tuple(name for name, arm in ARMS.items() if not arm.scaled)  # this model has no widths
    setting = setting_of(model={"name": f"{__name__}:norm_net"}, rewind={"step": 5}, arms=arms)
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


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_dense_network_in_another_order_parts_from_the_ticket_at_the_rewind_step(dropout: float) -> None:
    setting = setting_of(model={"name": "mlp", "widths": [8, 6], "dropout": dropout}, rewind={"step": 8})
    result = play(setting, [first_chain(setting, 0)], 0, "ticket", ("reorder", 0), ("reorder", 1))
    curves = result.curves.set_index(["step", "arm", "draw"])["train_loss"]
    for step in (0, 4, 8):  # evaluated before the step
        assert curves[step, "reorder", 0] == curves[step, "reorder", 1] == curves[step, "ticket", 0]
    assert len({curves[12, "ticket", 0], curves[12, "reorder", 0], curves[12, "reorder", 1]}) == 3
    (chain,) = result.chains
    later = play(setting, [chain], 1, "ticket", "reorder").curves.set_index(["step", "arm"])["train_loss"]
    assert later[8, "ticket"] == later[8, "reorder"]
    assert later[12, "ticket"] != later[12, "reorder"]
