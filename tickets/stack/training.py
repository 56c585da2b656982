"""Training a stack: a pure function of tensors and a recipe. R networks, each with its own mask, in lockstep."""

from __future__ import annotations

import functools
import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.random_state import untouched_generators
from tickets.stack.calls import Calls
from tickets.stack.course import Course, Done
from tickets.stack.early_stop import some_of
from tickets.stack.evaluation import METRICS, Curves, Logits, evaluate
from tickets.stack.feed import NetworkSeeds
from tickets.stack.networks import Stack, Tensors, join
from tickets.stack.precision import lowered, products
from tickets.stack.progress import Progress, Until
from tickets.stack.shard import Shard, UnsaveableError
from tickets.stack.trees import MisfitError, Tree, given
from tickets.stack.turns import Turns
from tickets.tasks import Task, task_of

# Evaluates networks at a step in between, from the task, the networks, examples and how many of them at a time: (R, 6).
Between = Callable[[Task, Shard, Examples, int], Tensor]
# Called at an evaluated step with the places of some networks in the stack, the step, and their values.
Observe = Callable[[slice, int, Tensors], None]


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes
    ----------
    stack
        The networks after the last step, on the CPU.
    curves
        The metrics at each evaluated step.
    kept
        The networks before step `keep_step`; None without `keep_step`.
    seconds
        Wall clock time.
    """

    stack: Stack
    curves: Curves
    kept: Stack | None
    seconds: float


def train(
    begin: Callable[[Stack, Sequence[NetworkSeeds], Examples, TrainConfig, torch.device], Shard],
    start: Stack,
    seeds: Sequence[NetworkSeeds],
    examples: Examples,
    recipe: TrainConfig,
    *,
    lanes: int = 1,
    networks_at_once: int | None = None,
    chunk: int = 1000,
    keep_step: int | None = None,
    observe: Observe | None = None,
    observe_alone: bool = False,
    between: Between | None = None,
    device: torch.device | None = None,
    tick: Callable[[int], None] = lambda networks: None,
    progress: Progress | None = None,
) -> Trained:
    """Train every network of a stack from `start.step` to `recipe.steps`.

    After every step a pruned weight is 0.0, or what `start.pruned_values` says.

    Parameters
    ----------
    begin
        Makes networks ready to train. It is called for each shard of the stack.
    start
        The networks. They are not changed, and the result shares no memory with them.
    seeds
        One for each network.
    examples
        The data, on `device`.
    recipe
        How the networks are trained.
    lanes
        How many shards of the stack train at the same time, each in a thread.
    networks_at_once
        The most networks that the lanes train at the same time. A larger stack is trained in more shards, one after
        the other, with the same results. Default: all.
    chunk
        Examples at a time in an evaluation.
    keep_step
        Return the stack as it is before this step, too.
    observe
        Called at each evaluated step with the places of a shard's networks in the stack, the step, and their values.
    observe_alone
        Whether no lane computes while `observe` is called, by the thread that called this function: it may change
        settings of the whole process for a while.
    between
        How networks are evaluated at the steps in between, if not by their outputs. What holds with
        `recipe.evaluate_on` then holds too, see below.
    device
        Where to train. Default: the CPU.
    tick
        Called as steps are taken, with the number of steps times that of the networks that took them, from the thread
        that took them.
    progress
        Is given the state of each shard in training whenever it asks, and gives those of an earlier process.

    Notes
    -----
    Networks are evaluated before every step that `recipe.evaluate_every` divides, and at both ends. With
    `recipe.evaluate_on` the steps in between are evaluated on that many validation and test examples (see `some_of`),
    and both ends on all. Each network's early-stop step is then the one with the lowest loss on these few validation
    examples, at the ends too. The network of that step is evaluated on all examples after the training: the table
    `rounds` is of all examples, and a curve is of the same examples at each step in between.
    """
    began = time.perf_counter()
    where = device or torch.device("cpu")
    at_once = networks_at_once or len(start)
    lanes = min(lanes, at_once)
    shards = shards_of(len(start), lanes, at_once)
    measured = evaluated_steps(start.step, recipe)
    evaluated = sorted(measured)
    stops = sorted({*evaluated, *([keep_step] if keep_step is not None and keep_step >= start.step else [])})
    stopped, turns, calls = threading.Event(), Turns(), Calls()
    few, task = some_of(examples, recipe.evaluate_on), task_of(recipe)
    apart, some = few is not None or between is not None, few or examples

    def evaluated_between(networks: Shard) -> Tensor:
        if between is None:
            return evaluate(task, networks.logits, some, chunk)
        return between(task, networks, some, chunk)

    def again(stack: Stack, shard: slice) -> Logits:
        return begin(stack, seeds[shard], examples, recipe, where).logits

    def begun(shard: slice) -> tuple[Shard, Course] | Done:
        """Networks ready to train, before their training or where an earlier process left them; or its result."""
        found = None if progress is None else progress.begin(shard)
        if progress is not None and found is not None:
            try:
                return goes_on(progress, found, shard)
            except MisfitError as error:
                progress.reject(shard, str(error))
        return begin(start[shard], seeds[shard], examples, recipe, where), Course.of(start[shard])

    def goes_on(progress: Progress, found: Tree, shard: slice) -> tuple[Shard, Course] | Done:
        first, last, networks = start[shard], recipe.steps, shard.stop - shard.start
        if isinstance(found, dict) and "result" in found:
            done = Done.of_tree(found["result"], first, evaluated, keep_step, last, apart)
            tick((last - start.step) * networks)
            return done
        state, carried, at = given(found, "networks", "measured", "course")
        course = Course.of_tree(at, first, evaluated, keep_step, last, apart)
        ready = begin(first, seeds[shard], examples, recipe, where)
        ready.restore(state, course.step)
        progress.measure_on(shard, carried)
        tick((course.step - start.step) * networks)
        return ready, course

    def save(networks: Shard, course: Course, shard: slice) -> None:
        assert progress is not None
        try:
            progress.take(shard, networks.state(), course.tree())
        except UnsaveableError as error:
            progress.refuse(str(error))

    def ended(done: Done, shard: slice) -> Done:
        if progress is not None and not stopped.is_set():
            progress.end(shard, done.tree(start[shard]))
        return done

    def leave(networks: Shard, course: Course, shard: slice, step: int, following: int) -> None:
        """Stop for good. A state that has what was evaluated and observed at `step` is of a later step."""
        if progress is None or not progress.wants_last:
            return
        if course.step == step < following:
            with lowered(recipe.precision, where):
                course.step = networks.advance(step, step + 1, tick, threading.Event())
        if course.step > step:
            save(networks, course, shard)

    @turns.shared()
    def train_shard(shard: slice) -> Done:
        try:
            if stopped.is_set():
                raise CancelledError  # before it has begun
            ready = begun(shard)
            if isinstance(ready, Done):
                return ended(ready, shard)
            networks, course = ready
            early, rows = course.early, course.rows
            for step, following in itertools.pairwise([*stops, recipe.steps]):
                if step == keep_step and step >= course.step:
                    course.kept = networks.standing(step)
                if step in measured and step >= course.step:
                    with lowered(recipe.precision, where):
                        whole = not apart or step in (start.step, recipe.steps)
                        rows.append(
                            evaluate(task, networks.logits, examples, chunk) if whole else evaluated_between(networks)
                        )
                        if apart:
                            loss = rows[-1] if not whole else evaluated_between(networks)
                            standing = None if whole else functools.partial(networks.standing, step)
                            early.see(loss[:, METRICS.index("validation_loss")], standing)
                    if observe is not None:
                        seen = functools.partial(observe, shard, step, networks.parameters())
                        if observe_alone:
                            with turns.alone():
                                calls.ask(seen)
                        else:
                            seen()
                while course.step < following and not stopped.is_set():
                    until = stopped if progress is None else Until(stopped, progress, shard)
                    with lowered(recipe.precision, where):
                        course.step = networks.advance(course.step, following, tick, until)
                    if progress is not None and progress.is_due(shard) and not stopped.is_set():
                        save(networks, course, shard)
                if stopped.is_set():
                    leave(networks, course, shard, step, following)
                    break
            score = torch.empty(0)
            if apart and not stopped.is_set():
                with lowered(recipe.precision, where):
                    score = early.whole(rows, lambda stack: evaluate(task, again(stack, shard), examples, chunk))
            return ended(Done(networks.standing(recipe.steps), rows, course.kept, early.places, score), shard)
        except BaseException:
            stopped.set()  # this exception is raised only once the shards before this one have ended
            raise

    # The lanes share torch's global generator, so no lane by itself can restore it.
    with untouched_generators(), products(recipe.precision), ThreadPoolExecutor(lanes) as pool:
        try:
            trainings = [pool.submit(train_shard, shard) for shard in shards]
            calls.answer(trainings)
            done = [training.result() for training in trainings]
        except KeyboardInterrupt:
            try:
                if progress is not None:
                    progress.interrupt()
            finally:
                stopped.set()  # it is raised in this thread alone; the others would train to the end
            raise
        except BaseException:
            stopped.set()
            raise
        finally:
            calls.close()
    kept = [shard.kept for shard in done if shard.kept is not None]
    return Trained(
        stack=join([shard.stack for shard in done]),
        curves=Curves(
            torch.tensor(evaluated),
            torch.cat([torch.stack(shard.rows) for shard in done], 1),
            torch.cat([shard.early_stop for shard in done]) if apart else None,
            torch.cat([shard.early_score for shard in done]) if apart else None,
        ),
        kept=join(kept) if kept else None,
        seconds=time.perf_counter() - began if progress is None else progress.seconds,
    )


def shards_of(networks: int, lanes: int, at_once: int) -> list[slice]:
    """Nearly equal shards of a stack: as many as train at the same time, times the number of turns."""
    count = min(networks, math.ceil(networks / at_once) * min(lanes, at_once))
    bounds = [networks * index // count for index in range(count + 1)]
    return [slice(first, last) for first, last in itertools.pairwise(bounds)]


def evaluated_steps(first: int, recipe: TrainConfig) -> set[int]:
    """The steps at which a training that starts at step `first` is evaluated."""
    following = first + -first % recipe.evaluate_every
    return {first, *range(following, recipe.steps, recipe.evaluate_every), recipe.steps}
