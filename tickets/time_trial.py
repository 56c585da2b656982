"""The time of a few training steps and of an evaluation, of a stack like one that a run is to train.

It is begun by the same strategy, with as many networks in each lane, the same batches and optimizer, and random masks
of the density asked for. Nothing of the run is changed: these networks are made up, and dropped.
"""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from tickets.catalogue import MODELS, Pruned
from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.fitting import Fitted
from tickets.pace import Point
from tickets.planning import Plan, workload_of
from tickets.process_state import standard_state
from tickets.seeds import stream
from tickets.stack.evaluation import evaluate
from tickets.stack.feed import NetworkSeeds
from tickets.stack.networks import Stack, stack_networks
from tickets.stack.precision import lowered, products
from tickets.stack.shard import Shard
from tickets.stack.strategies import begin, strategy_named
from tickets.stack.training import shards_of
from tickets.tasks import task_of

AT_ONCE_S = 0.02  # of the steps that are timed together
REPEATED = 3  # times; the median counts
MASKS = 4  # different ones in a stack
OWN_STEPS, OWN_NETWORKS = 5, 2  # in all, and in each lane, of a network that runs code of the user's


@dataclass(frozen=True)
class Kind:
    """Stacks that take the same time.

    Parameters
    ----------
    fitted
        A run that trains them.
    plan
        How they are computed: `Plan.for_pruned`.
    pruned
        The rule for their pruned weights.
    networks
        The networks of a stack.
    """

    fitted: Fitted
    plan: Plan
    pruned: Pruned
    networks: int

    def calls_own_code(self, strategy: str) -> bool:
        """Whether a step calls code of the user's: a network, a loss or an augmentation."""
        run = self.fitted.run
        if self.fitted.source.examples.augment is not None and ":" in run.data.name:
            return True
        by_kernels = strategy == "layered" or (strategy == "sparse" and self.fitted.anatomy.kernel_chain is not None)
        return not by_kernels and (run.model.name not in MODELS or ":" in run.train.loss)

    def shards(self, strategy: str) -> list[slice]:
        """The networks that the lanes train side by side at first.

        Of networks that train one after another by code of the user's, only a few in each lane are timed.
        """
        at_once = self.plan.networks_at_once
        lanes = min(self.plan.lanes, at_once)
        first = shards_of(self.networks, lanes, at_once)[:lanes]
        if not self.calls_own_code(strategy) or strategy in ("layered", "vectorised"):
            return first
        ends = [0, *accumulate(min(OWN_NETWORKS, shard.stop - shard.start) for shard in first)]
        return [slice(start, stop) for start, stop in pairwise(ends)]


@standard_state()
def time_trial(kind: Kind, strategy: str, density: float, seconds: float) -> Point:
    """What a network of a stack takes on this machine.

    Parameters
    ----------
    kind
        The stack.
    strategy
        The strategy that trains it.
    density
        Of its masks.
    seconds
        After so many nothing is repeated. What is done once may take longer.
    """
    fitted, run, device = kind.fitted, kind.fitted.run, torch.device("cpu")
    shards, recipe = kind.shards(strategy), run.train
    torch.set_num_threads(max(1, kind.plan.threads // len(shards)))
    workload = replace(workload_of(fitted, device, kind.plan.threads), pruned=kind.pruned)
    own = kind.calls_own_code(strategy)
    stack, seeds = _made_up(kind, density, shards[-1].stop)
    deadline, count = time.perf_counter() + seconds, len(stack)
    with products(recipe.precision), ThreadPoolExecutor(len(shards)) as pool, _set_at_the_end() as stopped:

        def begun(shard: slice) -> Shard:
            return begin(strategy, workload, stack[shard], seeds[shard], fitted.source.examples, recipe, device)

        began = time.perf_counter()
        lanes = _Lanes(pool, list(pool.map(begun, shards)), recipe, stopped)
        beginning = time.perf_counter() - began
        step = _step(lanes, recipe, deadline, OWN_STEPS if own else recipe.steps)
        chunk = strategy_named(strategy).chunk(workload, count)
        some = _some(fitted.source.examples, max(chunk, _examples_in(max(AT_ONCE_S, seconds / 4), step, recipe)))
        example = _example(lanes, some, recipe, chunk, 0.0 if own else deadline)
    return Point(density, step / count, example / count, beginning / count)


@contextmanager
def _set_at_the_end() -> Iterator[threading.Event]:
    """An event that ends the lanes' steps with the block, also where Ctrl-C ends it."""
    event = threading.Event()
    try:
        yield event
    finally:
        event.set()


@dataclass(frozen=True)
class _Lanes:
    """Shards in training, each in a thread of its own."""

    pool: ThreadPoolExecutor
    shards: Sequence[Shard]
    recipe: TrainConfig
    stopped: threading.Event

    def timed(self, act: Callable[[Shard], object]) -> float:
        """The time in which all of them do something."""

        def acted(shard: Shard) -> None:
            with lowered(self.recipe.precision, torch.device("cpu")):
                act(shard)

        began = time.perf_counter()
        list(self.pool.map(acted, self.shards))
        return time.perf_counter() - began

    def steps(self, first: int, last: int) -> float:
        """The time of one of the steps from `first` to `last`."""
        taken = self.timed(lambda shard: shard.advance(first, last, lambda networks: None, self.stopped))
        return taken / (last - first)


def _step(lanes: _Lanes, recipe: TrainConfig, deadline: float, most: int) -> float:
    """The time of a step of all networks: the median of a few times, after a first one that counts if it is alone."""
    most = min(most, recipe.steps)
    first = lanes.steps(0, 1)
    if most < 2 or time.perf_counter() > deadline:
        return first
    taken, at = [lanes.steps(1, 2)], 2
    many = max(1, min(math.ceil(AT_ONCE_S / max(taken[0], 1e-9)), (most - at) // REPEATED, recipe.evaluate_every))
    timed = list[float]()
    while at + many <= most and len(timed) < REPEATED and time.perf_counter() < deadline:
        timed.append(lanes.steps(at, at + many))
        at += many
    return statistics.median(timed or taken)


def _example(lanes: _Lanes, examples: Examples, recipe: TrainConfig, chunk: int, deadline: float) -> float:
    """The time of an evaluation of all networks, for one example: the median of a few times."""
    task = task_of(recipe)
    validation, test = len(examples.validation_labels), len(examples.test_labels)

    def evaluated() -> float:
        return lanes.timed(lambda shard: evaluate(task, shard.logits, examples, chunk))

    timed = [evaluated()]
    while len(timed) < REPEATED and time.perf_counter() < deadline:
        timed.append(evaluated())
    return statistics.median(timed) / (min(len(examples.train_labels), validation) + validation + test)


def _examples_in(seconds: float, step: float, recipe: TrainConfig) -> int:
    """About how many examples of each kind are evaluated in so many seconds, if a step takes so many."""
    each = step / recipe.batch_size / 2  # a step goes forth and back
    return math.ceil(seconds / max(each, 1e-12) / 3)


def _some(examples: Examples, most: int) -> Examples:
    """The data with no more validation and test examples than so many."""
    return replace(
        examples,
        validation_inputs=examples.validation_inputs[:most],
        validation_labels=examples.validation_labels[:most],
        test_inputs=examples.test_inputs[:most],
        test_labels=examples.test_labels[:most],
    )


def _made_up(kind: Kind, density: float, networks: int) -> tuple[Stack, list[NetworkSeeds]]:
    """Networks before training, and their seeds: as many data orders as replicates, as in a round."""
    fitted, run = kind.fitted, kind.fitted.run
    values = fitted.fresh(stream(run.seed, 0, "initial"))
    generator = torch.Generator().manual_seed(stream(run.seed, 0, "guard"))

    def mask() -> dict[str, Tensor]:
        if density >= 1:
            return {tensor.name: torch.ones(tensor.shape, dtype=torch.bool) for tensor in fitted.prunable}
        return {tensor.name: torch.rand(tensor.shape, generator=generator) < density for tensor in fitted.prunable}

    masks = [mask() for _ in range(min(MASKS, networks))]
    stack = stack_networks(
        [values] * networks,
        [masks[place % len(masks)] for place in range(networks)],
        fitted.trained,
        pruned_values=[values] * networks if kind.pruned == "initial" else (),
    )
    draws = sum(arm.draws for arm in run.arms)
    noise = [stream(run.seed, 0, "noise", 0, "guard", place) for place in range(networks)]
    return stack, [NetworkSeeds(stream(run.seed, place // draws, "order"), noise[place]) for place in range(networks)]
