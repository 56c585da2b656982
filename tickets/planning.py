"""How a run's stacks are computed: by which strategy, and how many networks at once fit into the memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from tickets.catalogue import Pruned
from tickets.config import Run
from tickets.fitting import Fitted
from tickets.learned.planning import how_learned, learning_bytes, needs_learned
from tickets.probes.memory import bytes_afterwards, bytes_at_steps, bytes_once
from tickets.process_state import standard_state
from tickets.stack.memory import (
    EVALUATION_BYTES,
    KEPT_BY_THE_ALLOCATOR,
    Bytes,
    free_bytes,
    networks_that_fit,
    ranking_bytes,
    round_bytes,
)
from tickets.stack.networks import Stack, share_left
from tickets.stack.strategies import choose, strategy_named
from tickets.stack.workload import Workload

NEVER_RUN = "steps recorded by CUDA graphs, which this version's tests replay without a GPU (stack/captured.py)"


@dataclass(frozen=True)
class Plan:
    """How a run's stacks are computed. Stored in run.json, so that a run goes on as it began, bit for bit.

    Parameters
    ----------
    strategy
        A name of `tickets.catalogue.STRATEGIES`, or "plain".
    reason
        Why it was chosen.
    lanes
        Shards of a stack that train side by side.
    networks_at_once
        Networks that train at once, in all lanes together.
    threads
        Of the CPU, for all lanes together.
    takes_over
        {strategy: share}, in order of preference: a stack whose networks all have at most this share of their
        multiplications left is trained by that strategy instead.
    compared
        The result of the comparison with a plain loop before the first round (guard.py); None where there was none.
    never_run
        What may be part of the training and was never run on such a device; None for nothing.
    pruned_initial
        The plan for stacks whose pruned weights keep their initial values; None if the run has none.
    learned
        How masks are learned, "strategy" and "reason"; None if the run has no such arm.
    """

    strategy: str
    reason: str
    lanes: int
    networks_at_once: int
    threads: int
    takes_over: Mapping[str, float] = field(default_factory=dict)
    compared: Mapping[str, Any] | None = None
    never_run: str | None = None
    pruned_initial: Plan | None = None
    learned: Mapping[str, str] | None = None

    def record(self) -> dict[str, Any]:
        """As run.json has it."""
        own = asdict(replace(self, pruned_initial=None))
        nested = None if self.pruned_initial is None else self.pruned_initial.record()
        return {key: value for key, value in {**own, "pruned_initial": nested}.items() if value is not None}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Plan:
        """The inverse of `record`. Earlier versions wrote `sparse_up_to`, the share of the strategy `sparse`."""
        given = dict(record)
        share, nested = given.pop("sparse_up_to", 0.0), given.pop("pruned_initial", None)
        given.setdefault("takes_over", {"sparse": share} if share > 0 else {})
        return cls(**given, pruned_initial=None if nested is None else cls.of_record(nested))

    @property
    def strategies(self) -> tuple[str, ...]:
        """The names of the strategies that may train a stack."""
        return (*self.takes_over, self.strategy)

    @property
    def has_own_modules(self) -> bool:
        """Whether each network needs a module of its own."""
        return self.strategy == "plain"

    @property
    def learned_strategy(self) -> str:
        """The strategy that computes the gradients of learned masks: one that serves every model, if none is said."""
        return "looped" if self.learned is None else self.learned["strategy"]

    def learned_lanes(self, workload: Workload) -> int:
        """Shards of a stack that learn masks side by side. Networks one after the other do not depend on it."""
        if self.has_own_modules:
            return 1
        return self.lanes if self.learned_strategy == "vectorised" else min(self.lanes, workload.lanes)

    def for_pruned(self, pruned: Pruned) -> Plan:
        """The plan for stacks whose pruned weights have these values."""
        if pruned == "zero":
            return self
        assert self.pruned_initial is not None  # `plan_execution` makes it for a run with such an arm
        return self.pruned_initial

    def strategy_for(self, stack: Stack, pixels: Mapping[str, int]) -> str:
        """The name of the strategy that trains a stack. pixels: see share_left."""
        if not self.takes_over:
            return self.strategy
        left = share_left(stack, pixels)
        return next((name for name, share in self.takes_over.items() if left <= share), self.strategy)


@standard_state()  # a user's module may have changed it as it was imported
def plan_execution(
    fitted: Fitted, device: torch.device, workers: int = 1, wanted: str | None = None, pruned: Pruned = "zero"
) -> Plan:
    """Plan how a run's stacks are computed on a device.

    Parameters
    ----------
    fitted
        The run.
    device
        Where it is trained.
    workers
        Processes that share the CPU's threads, and the memory that is free.
    wanted
        The strategy to take instead of the one that the run asks for.
    pruned
        The values of the stacks' pruned weights. The plan for "zero" includes that for "initial", if an arm needs it.

    Returns
    -------
    Plan
        With as many networks at once as fit into compute.memory_gib, by default half of what is free on the device
        now; one, if not even one fits.
    """
    run = fitted.run
    compute = run.compute
    threads = compute.threads or max(1, torch.get_num_threads() // workers)
    workload = workload_of(fitted, device, threads, pruned)
    choice = choose(workload, wanted or compute.strategy)
    lanes = min(choice.lanes, workload.networks)
    bound = free_bytes(device) // 2 // workers if compute.memory_gib is None else int(compute.memory_gib * 2**30)
    bound = int(bound / KEPT_BY_THE_ALLOCATOR) - EVALUATION_BYTES[device.type]
    if workload.on_cpu:  # what a round holds is on the CPU, and takes nothing of another device's memory
        bound -= _held_by_a_round(fitted, workload)
    else:
        bound -= _measured_afterwards(fitted, workload)
    at_once = networks_that_fit(bound, _training(fitted, workload, choice.strategy, choice.takes_over), lanes)
    names = (choice.strategy, *choice.takes_over)
    records = not workload.on_cpu and any(strategy_named(name).records_steps for name in names)
    nested = None
    if pruned == "zero" and needs_initial(run):
        # A strategy that is only for stacks whose pruned weights are 0 leaves the rest to another.
        asked, rest = wanted or compute.strategy, workload_of(fitted, device, threads, "initial")
        able = asked == "auto" or strategy_named(asked).obstacle(rest) is None
        nested = plan_execution(fitted, device, workers, asked if able else "auto", "initial")
    return Plan(
        strategy=choice.strategy,
        reason=choice.reason,
        lanes=lanes,
        networks_at_once=at_once,
        threads=threads,
        takes_over=choice.takes_over,
        never_run=NEVER_RUN if records else None,
        pruned_initial=nested,
        learned=how_learned(choice.strategy, workload) if pruned == "zero" and needs_learned(run) else None,
    )


def with_learned(plan: Plan, fitted: Fitted, device: torch.device) -> Plan:
    """A saved plan, with how masks are learned if an arm needs it now."""
    if plan.learned is not None or not needs_learned(fitted.run):
        return plan
    return replace(plan, learned=how_learned(plan.strategy, workload_of(fitted, device, plan.threads)))


def needs_initial(run: Run) -> bool:
    """Whether pruned weights keep other values than 0 in an arm of the run."""
    return any(arm.entry.pruned != "zero" for arm in run.arms)


def workload_of(fitted: Fitted, device: torch.device, threads: int, pruned: Pruned = "zero") -> Workload:
    """What a run's strategy is chosen for."""
    run = fitted.run
    return Workload(
        anatomy=fitted.anatomy,
        build=fitted.build,
        recipe=run.train,
        device=device,
        threads=threads,
        networks=networks_in_lockstep(run),
        pruned=pruned,
        targets=fitted.source.examples.train_labels[:1],
    )


def memory_needed(fitted: Fitted, plan: Plan, device: torch.device, pruned: Pruned = "zero") -> int:
    """Bytes that a round of a run takes by its plan, beside the data, Python and PyTorch; on a GPU, of its memory.

    Parameters
    ----------
    fitted
        The run.
    plan
        How it is computed. Of this plan and the one that it includes for "initial", the larger number counts.
    device
        Where it is trained.
    pruned
        The values of the pruned weights in the stacks that the plan is for.
    """
    nested = 0 if plan.pruned_initial is None else memory_needed(fitted, plan.pruned_initial, device, "initial")
    workload = workload_of(fitted, device, plan.threads, pruned)
    training = _training(fitted, workload, plan.strategy, plan.takes_over)
    at_once = min(plan.networks_at_once, workload.networks)
    held = at_once * training.each + plan.lanes * training.lane + EVALUATION_BYTES[device.type]
    if workload.on_cpu:
        held += _held_by_a_round(fitted, workload)
    else:
        held += _measured_afterwards(fitted, workload)
    return max(nested, int(held * KEPT_BY_THE_ALLOCATOR))


def networks_in_lockstep(run: Run) -> int:
    """The networks of a round of a cohort: of its replicates, every arm and draw."""
    return _cohort_size(run) * sum(arm.draws for arm in run.arms)


def _cohort_size(run: Run) -> int:
    return min(run.replicates, run.cohort_size or run.replicates)


def _held_by_a_round(fitted: Fitted, workload: Workload) -> int:
    run, rewinds = fitted.run, fitted.run.rewind.restores or fitted.run.rewind.keeps_trained
    held = max(
        round_bytes(one.sizes, _cohort_size(run), workload.networks, rounds=run.rounds, rewinds=rewinds)
        for one in _by_recipe(fitted, workload)
    )
    return held + ranking_bytes(fitted.prunable, run.prune.scope) + _measured_afterwards(fitted, workload)


def _measured_afterwards(fitted: Fitted, workload: Workload) -> int:
    """Bytes that the probes of a whole round take, on the device."""
    each = bytes_afterwards(fitted.probes, fitted.anatomy, workload.sizes)
    return workload.networks * each + bytes_once(fitted.probes, fitted.anatomy, at_steps=False)


def _by_recipe(fitted: Fitted, workload: Workload) -> list[Workload]:
    """The workload, and the same by each recipe of an arm's own."""
    return [workload, *(replace(workload, recipe=recipe) for recipe in fitted.trial.recipes)]


def _training(fitted: Fitted, workload: Workload, strategy: str, takes_over: Mapping[str, float]) -> Bytes:
    """What a run's networks take while they train, by whichever of its strategies takes more."""
    most = Bytes(0)
    for one in _by_recipe(fitted, workload):
        for name, share in ((strategy, 1.0), *takes_over.items()):
            taken = strategy_named(name).bytes(one, share)
            most = Bytes(max(most.each, taken.each), max(most.lane, taken.lane))
    if workload.pruned == "zero" and needs_learned(fitted.run):
        most = learning_bytes(strategy, _by_recipe(fitted, workload), most)
    # Copies of the networks at their early-stop step, and of those that are compared with them.
    stood = 2 * max(one.sizes.standing for one in _by_recipe(fitted, workload)) if fitted.run.train.evaluate_on else 0
    held = workload.sizes.values if workload.pruned == "initial" else 0
    measured = bytes_at_steps(fitted.probes, fitted.anatomy, workload.sizes)
    once = bytes_once(fitted.probes, fitted.anatomy, at_steps=True)
    return Bytes(most.each + stood + held + measured, most.lane + once)
