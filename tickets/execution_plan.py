"""How a run's stacks are computed: by which strategy, and how many networks at once fit into the memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from tickets.catalogue import Pruned
from tickets.config import Run
from tickets.fitting import Fitted
from tickets.probes.memory import bytes_afterwards, bytes_at_steps
from tickets.process_state import standard_state
from tickets.stack.chain import chain_of
from tickets.stack.convolutions import convolutions_met
from tickets.stack.layout import lay_out_chain
from tickets.stack.memory import (
    EVALUATION_BYTES,
    KEPT_BY_THE_ALLOCATOR,
    Sizes,
    Training,
    activation_bytes,
    free_bytes,
    image_bytes,
    networks_that_fit,
    plane_bytes,
    ranking_bytes,
    round_bytes,
    sizes_of,
    training_bytes,
)
from tickets.stack.networks import Stack
from tickets.stack.strategies import Choice, choose, share_left


@dataclass(frozen=True)
class Plan:
    """How a run's stacks are computed. Kept in run.json, so that a run goes on as it began, bit for bit.

    strategy: a name of `stack.strategies.STRATEGIES`, chosen for `reason`. lanes: parts of a stack that train side
    by side. networks_at_once: that the lanes hold together. threads: of the CPU, for all lanes together.
    sparse_up_to: a stack with at most this share of its multiplications left is trained by `sparse` instead.
    compared: what came of the comparison with a plain loop before the first round (see guard.py); None where none was.
    pruned_initial: how stacks are computed whose pruned weights keep their initial values; None where the run has none.
    """

    strategy: str
    reason: str
    lanes: int
    networks_at_once: int
    threads: int
    sparse_up_to: float = 0.0
    compared: Mapping[str, Any] | None = None
    pruned_initial: Plan | None = None

    def record(self) -> dict[str, Any]:
        """As run.json holds it."""
        own = asdict(replace(self, pruned_initial=None))
        nested = None if self.pruned_initial is None else self.pruned_initial.record()
        return {key: value for key, value in {**own, "pruned_initial": nested}.items() if value is not None}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Plan:
        """The plan that `record` gave."""
        nested = record.get("pruned_initial")
        return cls(**{**record, "pruned_initial": None if nested is None else cls.of_record(nested)})

    def for_pruned(self, pruned: Pruned) -> Plan:
        """How stacks with this rule for pruned weights are computed."""
        if pruned == "zero":
            return self
        assert self.pruned_initial is not None  # `plan_execution` makes it for a run with such an arm
        return self.pruned_initial

    def strategy_for(self, stack: Stack, pixels: Mapping[str, int]) -> str:
        """The strategy that trains a stack. pixels: see share_left."""
        takes_over = self.sparse_up_to > 0 and share_left(stack, pixels) <= self.sparse_up_to
        return "sparse" if takes_over else self.strategy


@standard_state()  # a user's module may have changed it as it was imported
def plan_execution(
    fitted: Fitted, device: torch.device, workers: int = 1, wanted: str | None = None, pruned: Pruned = "zero"
) -> Plan:
    """How to compute the run's stacks on a device: the strategy, and how many networks at once.

    wanted: the strategy, if it is not to be the one that the run asks for. pruned: what the pruned weights of the
    stacks are. The plan for "zero" holds that for "initial", if an arm of the run needs it.
    Memory: compute.memory_gib, by default half of what is free on the device now. `workers` processes share
    that default and the CPU's threads. A bound below what one network takes is not kept: one trains at a time.
    """
    run, module = fitted.run, fitted.module
    compute = run.compute
    threads = compute.threads or max(1, torch.get_num_threads() // workers)
    choice = choose(
        module,
        fitted.source.examples.input_shape,
        device,
        threads,
        wanted or compute.strategy,
        run.train.precision,
        run.train.batch_size,
        fitted.source.examples.train_inputs.dtype,
        fitted.draws.obstacle,
        pruned,
        run.train,
        fitted.source.examples.train_labels[:1],
    )
    lanes = min(choice.lanes, networks_in_lockstep(run))
    bound = free_bytes(device) // 2 // workers if compute.memory_gib is None else int(compute.memory_gib * 2**30)
    bound = int(bound / KEPT_BY_THE_ALLOCATOR) - EVALUATION_BYTES[device.type]
    sizes = sizes_of(module, fitted.prunable, run.train)
    if device.type == "cpu":  # what a round keeps is on the CPU, where another device's memory is not asked for it
        bound -= _kept_by_a_round(fitted, sizes)
    else:
        bound -= _measured_afterwards(fitted, sizes)
    at_once = networks_that_fit(bound, _training(fitted, sizes, choice, pruned), lanes)
    nested = None
    if pruned == "zero" and needs_initial(run):
        # `sparse` is for stacks whose pruned weights are 0; a run that asks for it gets another strategy for the rest.
        other = "auto" if (wanted or compute.strategy) == "sparse" else wanted
        nested = plan_execution(fitted, device, workers, other, "initial")
    return Plan(choice.strategy, choice.reason, lanes, at_once, threads, choice.sparse_up_to, pruned_initial=nested)


def needs_initial(run: Run) -> bool:
    """Whether pruned weights keep their initial values in an arm of the run."""
    return any(arm.entry.pruned == "initial" for arm in run.arms)


def memory_needed(fitted: Fitted, plan: Plan, device: torch.device) -> int:
    """Bytes that a round of a run takes by its plan, by the estimate that planned it.

    Beside the data, Python and PyTorch; on a GPU, of its memory alone.
    """
    if plan.pruned_initial is not None:
        rest = memory_needed(fitted, replace(plan, pruned_initial=None), device)
        return max(rest, memory_needed(fitted, plan.pruned_initial, device))
    sizes = sizes_of(fitted.module, fitted.prunable, fitted.run.train)
    training = _training(fitted, sizes, Choice(plan.strategy, plan.reason, plan.lanes, plan.sparse_up_to))
    at_once = min(plan.networks_at_once, networks_in_lockstep(fitted.run))
    held = at_once * training.each + plan.lanes * training.lane + EVALUATION_BYTES[device.type]
    if device.type == "cpu":
        held += _kept_by_a_round(fitted, sizes)
    else:
        held += _measured_afterwards(fitted, sizes)
    return int(held * KEPT_BY_THE_ALLOCATOR)


def networks_in_lockstep(run: Run) -> int:
    """The networks of a round of a cohort: of its replicates, every arm and draw."""
    return _cohort_size(run) * sum(arm.draws for arm in run.arms)


def _cohort_size(run: Run) -> int:
    return min(run.replicates, run.cohort_size or run.replicates)


def _kept_by_a_round(fitted: Fitted, sizes: Sizes) -> int:
    run = fitted.run
    networks = networks_in_lockstep(run)
    kept = round_bytes(sizes, _cohort_size(run), networks, rounds=run.rounds, rewinds=run.rewind.step > 0)
    return kept + ranking_bytes(fitted.prunable, run.prune.scope) + _measured_afterwards(fitted, sizes)


def _measured_afterwards(fitted: Fitted, sizes: Sizes) -> int:
    """What the probes of a whole round take, on the device."""
    return networks_in_lockstep(fitted.run) * bytes_afterwards(fitted.probes, fitted.module, sizes)


def _training(fitted: Fitted, sizes: Sizes, choice: Choice, pruned: Pruned = "zero") -> Training:
    """What a run's networks take while they train, by whichever of its strategies takes more."""
    shape, batch_size = fitted.source.examples.input_shape, fitted.run.train.batch_size
    dtype = fitted.source.examples.train_inputs.dtype
    activations, inputs = activation_bytes(fitted.module, shape, dtype), dtype.itemsize * math.prod(shape)
    links = chain_of(fitted.module, shape) or ()

    def taken(strategy: str, density: float = 1.0) -> Training:
        if strategy == "sparse" and any(link.kernel for link in links):
            return image_bytes(sizes, lay_out_chain(links))
        if strategy == "sparse" and not links:
            held = training_bytes("looped", sizes, batch_size, activations, inputs)
            return plane_bytes(held, sizes, convolutions_met(fitted.module, shape, dtype))
        if strategy == "plain":
            held = training_bytes("looped", sizes, batch_size, activations, inputs)
            return Training(held.each + sizes.values, held.lane)
        return training_bytes(strategy, sizes, batch_size, activations, inputs, density)

    most = taken(choice.strategy)
    if choice.sparse_up_to:
        also = taken("sparse", choice.sparse_up_to)
        most = Training(max(most.each, also.each), max(most.lane, also.lane))
    # The networks as they stood at their early-stop step, and those that are compared with them.
    stood = 2 * sizes.standing if fitted.run.train.evaluate_on else 0
    held = sizes.values if pruned == "initial" else 0
    return Training(most.each + stood + held + bytes_at_steps(fitted.probes, fitted.module, sizes), most.lane)
