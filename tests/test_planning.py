"""How a run will be computed: the strategy, the lanes, and how many networks at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from fitted_runs import fitted

from tickets.arms import Start
from tickets.fitting import Fitted
from tickets.planning import NEVER_RUN, Plan, memory_needed, plan_execution, workload_of
from tickets.ready import ready_run
from tickets.stack.memory import EVALUATION_BYTES, KEPT_BY_THE_ALLOCATOR, Bytes, ranking_bytes, round_bytes
from tickets.stack.networks import stack_networks
from tickets.stack.strategies import strategy_named
from tickets.stack.strategies.sparse import SPARSE_UP_TO

CPU = torch.device("cpu")


def test_the_plan_has_a_lane_for_each_thread() -> None:
    plan = plan_execution(fitted(compute={"threads": 3, "strategy": "layered"}), CPU)
    assert (plan.strategy, plan.reason) == ("layered", "set by compute.strategy")
    assert (plan.lanes, plan.threads) == (3, 3)
    dropout = plan_execution(fitted(model="fitted_runs:drawing_net", compute={"threads": 3}), CPU)
    assert (dropout.strategy, dropout.lanes, dropout.threads) == ("looped", 1, 3)
    wanted = plan_execution(fitted(compute={"threads": 2, "strategy": "looped"}), CPU)
    assert (wanted.strategy, wanted.reason, wanted.lanes) == ("looped", "set by compute.strategy", 2)


@pytest.fixture(params=["x86_64", "arm64"])
def up_to(request, monkeypatch) -> float:
    """The density up to which the processor's runs are sparse; below 1 they are layered before."""
    monkeypatch.setattr("platform.machine", lambda: request.param)
    return 1.0 if request.param == "x86_64" else SPARSE_UP_TO


@pytest.mark.parametrize(
    ("share", "kept", "found"),
    [(0.5, 0.0, "sparse"), (0.5, 0.5, "sparse"), (0.5, 0.75, "looped"), (0.0, 0.75, "looped"), (0.0, 0.0, "looped")],
)
def test_a_stack_is_sparse_only_where_the_plan_says_so(share: float, kept: float, found: str) -> None:
    mask = torch.arange(8).view(2, 4) < 8 * kept
    stack = stack_networks([{"weight": torch.ones(2, 4)}], [{"weight": mask}], ["weight"])
    takes_over = {"sparse": share} if share else {}
    assert Plan("looped", "", 1, 1, 1, takes_over).strategy_for(stack, {}) == found


def test_the_first_strategy_whose_share_is_reached_takes_over() -> None:
    mask = torch.arange(8).view(2, 4) < 4
    stack = stack_networks([{"weight": torch.ones(2, 4)}], [{"weight": mask}], ["weight"])
    assert Plan("looped", "", 1, 1, 1, {"sparse": 0.4, "layered": 0.5}).strategy_for(stack, {}) == "layered"
    assert Plan("looped", "", 1, 1, 1, {"sparse": 0.6, "layered": 0.7}).strategy_for(stack, {}) == "sparse"


def test_a_plan_of_an_earlier_version_is_read() -> None:
    record = {"strategy": "looped", "reason": "", "lanes": 1, "networks_at_once": 1, "threads": 1}
    assert Plan.of_record({**record, "sparse_up_to": 0.5}).takes_over == {"sparse": 0.5}
    assert Plan.of_record({**record, "sparse_up_to": 0.0}).takes_over == {}
    plan = Plan("looped", "", 1, 1, 1, {"sparse": 0.5}, pruned_initial=Plan("layered", "", 1, 1, 1))
    assert Plan.of_record(plan.record()) == plan


def test_a_model_of_convolutions_is_sparse_once_few_multiplications_are_left(monkeypatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    ready = fitted((3, 8, 8), model="conv2")
    plan = plan_execution(ready, CPU)
    setting = ready_run(ready, plan, CPU)
    assert (plan.strategy, plan.takes_over.get("sparse", 0.0)) == ("looped", 0.375)
    assert setting.pixels == {
        "conv1.weight": 64,
        "conv2.weight": 64,
        "fc1.weight": 1,
        "fc2.weight": 1,
        "output.weight": 1,
    }
    assert ready.anatomy.has_images
    theta0 = setting.fresh(0)

    def found(convolutions: float, others: float) -> str:
        masks = {}
        for tensor in ready.prunable:
            weights = theta0[tensor.name]
            kept = round((convolutions if tensor.convolution else others) * weights.numel())
            masks[tensor.name] = (torch.arange(weights.numel()) < kept).view(weights.shape)
        return plan.strategy_for(stack_networks([theta0], [masks], list(setting.parameters)), setting.pixels)

    # 2.8 million multiplications an example, 0.3 million of them outside the convolutions.
    assert found(0.45, 0.0) == "looped"
    assert found(0.3, 1.0) == "looped"
    assert found(0.3, 0.9) == "sparse"


def most_at_once(
    ready: Fitted, bound: int, lanes: int, up_to: float, *, replicates: int = 5, networks: int = 15
) -> int:
    """What the bound leaves, beside an evaluation and what a round keeps, over what a network takes in training."""
    workload = workload_of(ready, CPU, lanes)
    kept = round_bytes(workload.sizes, replicates, networks, rounds=16, rewinds=False)
    kept += ranking_bytes(ready.prunable, "layer")
    dense, sparse = (strategy_named(name).bytes(workload, up_to) for name in ("layered", "sparse"))
    each = sparse if up_to == 1.0 else Bytes(max(dense.each, sparse.each), sparse.lane)
    left = int(bound / KEPT_BY_THE_ALLOCATOR) - EVALUATION_BYTES["cpu"] - kept
    return (left - lanes * each.lane) // each.each


def test_workers_share_the_threads_and_what_is_free(monkeypatch, up_to: float) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 8)
    monkeypatch.setattr("tickets.planning.free_bytes", lambda device: 10**9)
    ready = fitted()
    for workers, threads in [(1, 8), (2, 4), (3, 2), (20, 1)]:
        plan = plan_execution(ready, CPU, workers)
        assert plan.threads == plan.lanes == threads
        assert plan.networks_at_once == most_at_once(ready, 10**9 // 2 // workers, threads, up_to)


def test_the_memory_that_the_config_allows_bounds_the_networks(up_to: float) -> None:
    compute, bound = {"memory_gib": 0.02, "threads": 2}, int(0.02 * 2**30)
    ready = fitted(compute=compute)
    assert plan_execution(ready, CPU, workers=7).networks_at_once == most_at_once(ready, bound, 2, up_to)
    cohorts = fitted(compute=compute, cohort_size=2, arms=["ticket", {"name": "reinit", "draws": 3}])
    wanted = most_at_once(cohorts, bound, 2, up_to, replicates=2, networks=8)
    assert plan_execution(cohorts, CPU).networks_at_once == wanted
    assert plan_execution(fitted(compute={"memory_gib": 1e-9}), CPU).networks_at_once == 1


def test_what_a_round_keeps_is_not_asked_of_another_devices_memory(monkeypatch) -> None:
    free = {"cpu": 40 * 2**20, "cuda": 3 * 2**30}
    monkeypatch.setattr("tickets.planning.free_bytes", lambda device: free[device.type])
    monkeypatch.setattr("tickets.planning.round_bytes", lambda *arguments, **named: 10**12)
    assert plan_execution(fitted(), CPU).networks_at_once == 1
    assert plan_execution(fitted(), torch.device("cuda")).networks_at_once > 100


def test_counting_units_takes_memory_too() -> None:
    few, many = (
        plan_execution(fitted(compute={"memory_gib": 0.02}, store={"units": units}), CPU).networks_at_once
        for units in (True, False)
    )
    assert few < many


FROZEN = {"name": "held", "values": "tickets.arms:rewound", "pruned": "initial"}


def test_stacks_whose_pruned_weights_keep_their_values_have_a_plan_of_their_own(monkeypatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    plan = plan_execution(fitted(arms=["ticket", FROZEN]), CPU)
    assert (plan.strategy, plan.for_pruned("zero")) == ("sparse", plan)
    assert (plan.for_pruned("initial").strategy, plan.for_pruned("initial").takes_over) == ("layered", {})
    assert plan_execution(fitted(), CPU).pruned_initial is None
    asked = plan_execution(fitted(arms=["ticket", FROZEN], compute={"strategy": "sparse"}), CPU)
    assert (asked.strategy, asked.for_pruned("initial").strategy) == ("sparse", "layered")
    looped = plan_execution(fitted(arms=["ticket", FROZEN], compute={"strategy": "looped"}), CPU)
    assert (looped.strategy, looped.for_pruned("initial").strategy) == ("looped", "looped")


def test_a_plan_comes_back_from_its_record() -> None:
    for arms in (["ticket"], ["ticket", FROZEN], ["ticket", "supermask"]):
        plan = plan_execution(fitted(arms=arms), CPU)
        assert Plan.of_record(plan.record()) == plan
    assert set(plan_execution(fitted(), CPU).record()) == {
        "strategy", "reason", "lanes", "networks_at_once", "threads", "takes_over",
    }  # fmt: skip


def test_what_pruned_weights_keep_takes_memory() -> None:
    bound = {"compute": {"memory_gib": 1.0, "strategy": "layered", "threads": 1}}
    one = fitted(arms=["ticket", FROZEN], model={"name": "mlp", "widths": [3000]}, **bound)
    plan = plan_execution(one, CPU)
    assert plan.for_pruned("initial").networks_at_once < plan.networks_at_once
    as_many = replace(plan.for_pruned("initial"), networks_at_once=plan.networks_at_once)
    zero = memory_needed(one, replace(plan, pruned_initial=None), CPU)
    assert memory_needed(one, replace(plan, pruned_initial=as_many), CPU) > zero


@pytest.mark.parametrize(
    ("strategy", "learned"),
    [("auto", "looped"), ("layered", "looped"), ("looped", "looped"), ("vectorised", "vectorised")],
)
def test_a_learned_mask_is_computed_from_all_weights(strategy: str, learned: str) -> None:
    plan = plan_execution(fitted(arms=["ticket", "edge_popup"], compute={"strategy": strategy, "threads": 3}), CPU)
    assert plan.learned_strategy == learned
    assert plan.learned_lanes(workload_of(fitted(), CPU, 3)) == plan.lanes
    assert plan_execution(fitted(), CPU).learned is None


def test_a_learned_mask_takes_memory() -> None:
    bound = {"compute": {"memory_gib": 1.0, "strategy": "layered", "threads": 1}}
    model = {"name": "mlp", "widths": [3000]}
    one, other = (fitted(arms=["ticket", arm], model=model, **bound) for arm in ("repeat", "edge_popup"))
    assert plan_execution(other, CPU).networks_at_once < plan_execution(one, CPU).networks_at_once


def large_adam(origin, mask):
    return Start(origin.rewound, recipe=origin.recipe.model_copy(update={"optimizer": "adam", "batch_size": 24}))


def test_an_arms_own_recipe_takes_its_own_memory() -> None:
    train = {"optimizer": "sgd", "batch_size": 2, "steps": 4, "evaluate_every": 2}
    compute = {"memory_gib": 0.05, "strategy": "layered", "threads": 1}
    large = {"name": "large", "values": f"{__name__}:large_adam"}
    small = fitted(compute=compute, train=train, arms=["ticket", "repeat"])
    both = fitted(compute=compute, train=train, arms=["ticket", large])
    plan = plan_execution(small, CPU)
    assert plan_execution(both, CPU).networks_at_once < plan.networks_at_once / 2
    assert memory_needed(both, plan, CPU) > memory_needed(small, plan, CPU)


def test_a_plan_for_a_gpu_says_what_has_never_run_on_one(monkeypatch) -> None:
    monkeypatch.setattr("tickets.planning.free_bytes", lambda device: 2**30)
    gpu = plan_execution(fitted(), torch.device("cuda"))
    assert gpu.record()["never_run"] == NEVER_RUN
    assert "never_run" not in plan_execution(fitted(), CPU).record()
    looped = plan_execution(fitted(compute={"strategy": "looped"}), torch.device("cuda"))
    assert looped.never_run is None, "it records no graph"
    assert Plan(**gpu.record()) == gpu


def test_a_loop_is_planned_for_few_networks_and_vmap_for_many() -> None:
    def strategy(**changes: Any) -> str:
        return plan_execution(fitted(model="fitted_runs:tanh_net", compute={"threads": 2}, **changes), CPU).strategy

    assert strategy(replicates=2, arms=["ticket", "reinit"]) == "looped"
    assert strategy(replicates=20, arms=["ticket", "reinit"]) == "vectorised"
    assert strategy(replicates=20, cohort_size=2, arms=["ticket", "reinit"]) == "looped"
