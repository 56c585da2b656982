"""The arm `small_dense`: a dense network of the family with as many weights as the ticket has left."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from fitted_runs import fitted
from small_rounds import CPU, assert_equal, of, play, rounds_of, setting_of, source

from tickets import guard
from tickets.amounts import planned_weights
from tickets.catalogue import ARMS
from tickets.chains import first_chain
from tickets.config import ArmConfig, parse_run
from tickets.errors import InputError
from tickets.fitting import fit
from tickets.guard import guarded
from tickets.initial import initial_values
from tickets.models.family import Family
from tickets.models.mlp import mlp
from tickets.narrower import narrower, with_widths
from tickets.planning import plan_execution
from tickets.ready import ReadyRun, ready_run
from tickets.seeds import stream

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = ArmConfig(name="small_dense")
FULL = ArmConfig(name="small_dense", label="full", start=0)


def run_of(**changes: Any) -> ReadyRun:
    return setting_of(**{"arms": ["ticket", "reinit", "small_dense"], "rounds": 3, **changes})


@pytest.mark.parametrize(
    "prune",
    [{"rate": 0.3, "output_rate": 0.15}, {"rate": 0.3, "scope": "global"}, {"rate": 0.3, "exclude": ["5.weight"]}],
)
def test_what_the_ticket_will_have_left_is_known_before_it_is_trained(prune: dict[str, Any]) -> None:
    setting = run_of(prune=prune)
    trained = [of(result, "ticket").mask for result in rounds_of(setting, 3)]
    left = [sum(int(kept.sum()) for kept in mask.values()) for mask in trained]
    assert planned_weights(setting.run, setting.prunable) == tuple(left)
    assert setting.fitted.small_dense is not None
    assert [one.left for one in setting.fitted.small_dense.rounds] == left
    for one in setting.fitted.small_dense.rounds:
        first, second = one.widths
        weights = 10 * first + first * second + (0 if "exclude" in prune else 3 * second)
        assert one.weights == weights <= one.left


@pytest.mark.parametrize("step", [0, 5])
def test_it_is_a_dense_network_of_its_own(step: int) -> None:
    """8-6 of 10 inputs and 3 classes has 146 weights; a rate of 0.5 leaves 73, then 37 (each of 80, 48 and 18)."""
    setting = run_of(
        prune={"rate": 0.5}, rewind={"step": step}, model={"name": "mlp", "widths": [8, 6], "dropout": 0.2}
    )
    chains = list(rounds_of(setting, 1, 2)[-1].chains)
    result = play(setting, chains, 2, "ticket", "reinit", SMALL, (SMALL.name, 1), FULL)
    for replicate in (0, 1):
        for arm, draw in (("small_dense", 0), ("small_dense", 1), ("full", 0)):
            network = of(result, arm, replicate, draw)
            # c = 3/8: (3, 2), with 30 + 6 + 6 = 42 weights, more than 37. c = 1/3: (2, 2), with 20 + 4 + 6 = 30.
            assert {name: tuple(value.shape) for name, value in network.initial.items()} == {
                "1.weight": (2, 10), "1.bias": (2,), "3.weight": (2, 2), "3.bias": (2,),
                "5.weight": (3, 2), "5.bias": (3,),
            }  # fmt: skip
            assert all(kept.all() for kept in network.mask.values())
            assert {name: tuple(kept.shape) for name, kept in network.mask.items()} == {
                "1.weight": (2, 10), "3.weight": (2, 2), "5.weight": (3, 2),
            }  # fmt: skip
            seed = stream(7, replicate, "small_dense", 2, draw)
            init = {"name": "pytorch", "biases": "model"}
            assert_equal(network.initial, initial_values(lambda: mlp((10,), 3, (2, 2)), init, seed))
            assert any(not torch.equal(network.trained[name], value) for name, value in network.initial.items())
            assert network.label.density == of(result, "ticket", replicate).label.density == pytest.approx(37 / 146)
            assert network.model == {"name": "mlp", "init": "pytorch", "widths": [2, 2], "dropout": 0.2}
    curves = result.curves[result.curves["replicate"] == 0]
    begins = curves.groupby(["arm", "draw"])["step"].min()
    assert begins["small_dense", 0] == begins["reinit", 0] == step  # a fresh optimizer, at the rewind step
    assert begins["full", 0] == 0
    assert of(result, "ticket").model is None


def test_another_arm_beside_it_trains_as_without_it() -> None:
    setting = run_of(rounds=1)
    alone, beside = (
        play(setting, list(rounds_of(setting, 0)[0].chains), 1, *arms)
        for arms in (("ticket", "reinit"), (SMALL, "ticket", "reinit"))
    )
    for arm in ("ticket", "reinit"):
        assert_equal(of(alone, arm).trained, of(beside, arm).trained)
    assert_equal(alone.chains[0].masks, beside.chains[0].masks)


def test_round_0_is_a_dense_network_of_full_width_from_a_draw_of_its_own() -> None:
    setting = run_of()
    result = play(setting, [first_chain(setting, 0)], 0, "ticket", SMALL)
    ticket, network = of(result, "ticket"), of(result, "small_dense")
    assert network.initial["1.weight"].shape == (8, 10)
    assert network.label.density == 1
    assert not torch.equal(network.initial["1.weight"], ticket.initial["1.weight"])


def test_it_starts_from_values_of_its_own_even_where_the_start_draws_nothing() -> None:
    setting = run_of(model={"name": "mlp", "widths": [8, 6], "init": {"name": "constant", "value": 0.1}}, replicates=1)
    assert setting.fitted.trial.like_ticket == ("reinit",)


@pytest.mark.parametrize("strategy", ["sparse", "layered", "vectorised", "looped"])
def test_every_strategy_trains_the_narrowest_network_as_a_plain_loop_does(strategy: str) -> None:
    setting = run_of()
    found = narrower(setting, 17)
    assert found.run.model.options["widths"] == (1, 1)
    plan = plan_execution(found.fitted, CPU, wanted=strategy)
    assert guarded(found.fitted, plan, CPU).compared["passed_over"] == []  # type: ignore[index]


def test_the_guard_compares_the_narrowest_network_too(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = run_of()
    plan = guarded(setting.fitted, setting.plan, CPU)
    assert plan.compared is not None
    assert plan.compared["small_dense"]["passed_over"] == []
    assert guarded(setting.fitted, plan, CPU) == plan
    # A strategy that trains the run's network and not the narrower one is left for another, or refused.
    settled = guard._guarded

    def distrusts(fitted: Any, plan: Any, *rest: Any) -> Any:
        narrow = fitted.small_dense is None
        return settled(fitted, dataclasses.replace(plan, strategy="looped") if narrow else plan, *rest)

    monkeypatch.setattr(guard, "_guarded", distrusts)
    assert guarded(setting.fitted, setting.plan, CPU).strategy == "looped"
    old = dataclasses.replace(plan, compared={"passed_over": []})
    with pytest.raises(InputError, match=r"^arm small_dense: sparse, with which this run began, does not train a netw"):
        guarded(setting.fitted, old, CPU)


def test_a_density_that_no_network_of_the_family_has_is_refused_with_all_others_at_once() -> None:
    """146, 73, 37, 19, 10, 5, 2 weights: widths of 1 have 10 + 1 + 3 = 14, so that rounds 4 to 6 have too few."""
    table = {"name": "x", "data": "digits", "model": {"name": "mlp", "widths": [8, 6]}, "rounds": 6}
    run = parse_run({**table, "arms": ["ticket", "small_dense"], "prune": {"rate": 0.5}, "train": {"batch_size": 99}})
    left = planned_weights(run, setting_of().prunable)
    assert left[3] >= 14 > left[4]
    with pytest.raises(InputError) as caught:
        fit(run, source())
    batch, small = caught.value.problems
    assert batch.startswith("train.batch_size = 99: must be at most 50")
    densities = ", ".join(f"{one / 146:.4g}" for one in left[4:])
    assert small == (
        "arms.small_dense: a network with hidden widths of 1 still has 14 prunable weights, more than the ticket has "
        f"left in rounds 4 to 6 (density {densities}); end the campaign before (rounds = 3), prune less, or leave "
        "small_dense out"
    )
    assert fit(run.model_copy(update={"rounds": 3, "train": setting_of().run.train}), source()).small_dense is not None


def test_what_it_cannot_have_is_refused() -> None:
    with pytest.raises(InputError, match=r"^arms\[1\].pruned = .initial.: small_dense prunes nothing: it has narrower"):
        parse_run({"name": "x", "data": "digits", "model": "mlp",
                   "arms": ["ticket", {"name": "small_dense", "pruned": "initial"}]})  # fmt: skip
    with pytest.raises(InputError, match=r"^model = 'small_rounds:norm_net': arm small_dense scales the hidden widths"):
        run_of(model={"name": "small_rounds:norm_net"})
    assert ARMS["small_dense"].role == "control"


def test_the_narrower_network_has_the_options_of_the_runs() -> None:
    setting = run_of(model={"name": "mlp", "widths": [8, 6], "dropout": 0.3, "init": "kaiming_normal"})
    assert setting.fitted.small_dense is not None
    small = with_widths(setting.fitted, setting.fitted.small_dense.family, (3, 2))
    assert small.anatomy.chance == setting.fitted.anatomy.chance
    assert [part.p for part in small.module.modules() if isinstance(part, torch.nn.Dropout)] == [0.3, 0.3]
    assert small.run.model.init == setting.run.model.init


def test_the_narrower_network_has_no_planted_ticket() -> None:
    init = {"name": "planted", "target": "circle", "base": "kaiming_uniform"}
    table = {"name": "t", "data": "circle", "model": {"name": "mlp", "widths": [20, 20], "init": init}}
    family = Family(parse_run({**table, "arms": ["ticket", "small_dense"]}), (2,), 4)
    fresh = {"name": "kaiming_uniform", "biases": "scaled"}
    assert family.table((2, 2))["init"] == fresh


def test_the_convolutions_of_a_narrower_network_train_beside_the_tickets() -> None:
    """Of 1x4x4 images: widths 8-16-16 have 1,464 weights, 4-9-9 (c = 9/16) have 36 + 144 + 144 + 81 + 27 = 432."""
    model = {"name": "conv2", "widths": [8, 16, 16]}
    one = fitted((1, 4, 4), model=model, arms=["ticket", "small_dense"], rounds=1, prune={"rate": 0.6}, replicates=1)
    setting = ready_run(one, plan_execution(one, CPU), CPU)
    result = play(setting, list(play(setting, [first_chain(setting, 0)], 0).chains), 1, "ticket", SMALL)
    network = of(result, "small_dense")
    assert [tuple(kept.shape) for kept in network.mask.values()] == [
        (4, 1, 3, 3), (4, 4, 3, 3), (9, 16), (9, 9), (3, 9),
    ]  # fmt: skip
    assert sum(int(kept.sum()) for kept in of(result, "ticket").mask.values()) == 585
    assert all(torch.isfinite(value).all() for value in network.trained.values())
    assert not torch.equal(network.trained["conv1.weight"], network.initial["conv1.weight"])
