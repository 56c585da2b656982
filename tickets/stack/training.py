"""Training a stack: a pure function of tensors and a recipe. R networks, each with its own mask, in lockstep."""

from __future__ import annotations

import functools
import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.random_state import untouched_generators
from tickets.seeds import stream
from tickets.stack.evaluation import Curves, evaluate
from tickets.stack.execution import Execution
from tickets.stack.networks import Stack, Tensors, join
from tickets.stack.optimizers import make_optimizer, optimizer_state, set_learning_rate
from tickets.stack.order import Batches
from tickets.stack.schedules import learning_rate

# Something measured of every network of a stack, (R, ...) on the CPU, from its parameters.
Measure = Callable[[Tensors], Tensor]
BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class NetworkSeeds:
    """What chance decides while one network trains. Networks with the same `order` see the same batches."""

    order: int
    noise: int


@dataclass(frozen=True)
class Trained:
    """What a training gives.

    stack: the networks after the last step, on the CPU. curves: what was measured on the way. measured: what
    `measure` gave at the same steps, (E, R, ...), if it was given. kept: the networks, whole, as they stood
    before step `keep_step`, if one was asked for. seconds: of wall clock.
    """

    stack: Stack
    curves: Curves
    measured: Tensor | None
    kept: Stack | None
    seconds: float


def train(
    make_execution: Callable[[], Execution],
    start: Stack,
    seeds: Sequence[NetworkSeeds],
    examples: Examples,
    recipe: TrainConfig,
    *,
    lanes: int = 1,
    networks_at_once: int | None = None,
    chunk: int = 1000,
    keep_step: int | None = None,
    measure: Measure | None = None,
    device: torch.device | None = None,
    tick: Callable[[int], None] = lambda networks: None,
) -> Trained:
    """Train every network of a stack from `start.step` to `recipe.steps`.

    make_execution: a new execution of the networks' architecture; one is made for each part of the stack.
    start: is not changed, and nothing of it is shared with what comes back. seeds: one a network. examples:
    on `device` already. lanes: so many parts of the stack train side by side, in threads. networks_at_once:
    the bound on how many networks the lanes hold together; a larger stack is trained in more parts, one after
    the other, with the same results. chunk: examples at a time in an evaluation. keep_step: keep the stack as
    it stands before this step. measure: what else to measure of a part's parameters at each
    evaluated step. tick: called after each step of a part with its number of networks, from whichever thread
    took it.

    Measured at every step that `recipe.evaluate_every` divides, before the step is taken, and at both ends.
    A pruned weight is exactly 0.0 after every step: its gradient's bits are cleared before the optimizer sees
    it (a product with the mask would let a NaN through), and its state starts at zero.
    """
    began = time.perf_counter()
    at_once = networks_at_once or len(start)
    lanes = min(lanes, at_once)
    parts = _parts(len(start), lanes, at_once)
    stopped = threading.Event()

    def train_part(part: slice) -> _Done:
        try:
            job = _Part(make_execution(), start[part], seeds[part], examples, recipe, device or torch.device("cpu"))
            return job.train(chunk, keep_step, measure, tick, stopped)
        except BaseException:
            stopped.set()  # what is raised here is seen only once the parts before it have ended
            raise

    # The lanes share torch's global generator: no lane by itself can leave it as it was.
    with untouched_generators(), ThreadPoolExecutor(lanes) as pool:
        try:
            done = list(pool.map(train_part, parts))
        except BaseException:
            stopped.set()  # an interrupt reaches this thread alone, and the others would train to the end
            raise
    kept = [part.kept for part in done if part.kept is not None]
    return Trained(
        stack=join([part.stack for part in done]),
        curves=Curves(done[0].curves.steps, torch.cat([part.curves.values for part in done], 1)),
        measured=None if measure is None else torch.cat([torch.stack(part.measured) for part in done], 1),
        kept=join(kept) if kept else None,
        seconds=time.perf_counter() - began,
    )


def _parts(networks: int, lanes: int, at_once: int) -> list[slice]:
    """The stack in nearly equal parts: as many as the lanes can hold side by side, times the turns it takes."""
    count = min(networks, math.ceil(networks / at_once) * min(lanes, at_once))
    bounds = [networks * index // count for index in range(count + 1)]
    return [slice(first, last) for first, last in itertools.pairwise(bounds)]


@dataclass(frozen=True)
class _Done:
    """What training a part gives; `measured` by evaluated step."""

    stack: Stack
    curves: Curves
    measured: list[Tensor]
    kept: Stack | None


class _Part:
    """Some networks of a stack while they train, with everything that changes from step to step."""

    def __init__(
        self,
        execution: Execution,
        start: Stack,
        seeds: Sequence[NetworkSeeds],
        examples: Examples,
        recipe: TrainConfig,
        device: torch.device,
    ) -> None:
        stack = start.to(device)
        self._execution, self._examples, self._recipe = execution, examples, recipe
        self._first, self._networks = start.step, len(start)
        self._parameters = {name: tensor.requires_grad_() for name, tensor in stack.parameters.items()}
        self._buffers, self._masks = stack.buffers, stack.masks
        self._keep_bits = {name: _keep_bits(mask, self._parameters[name]) for name, mask in stack.masks.items()}
        self._optimizer = make_optimizer(recipe, self._parameters, stack.optimizer)
        self._feed = _Feed(seeds, examples, recipe, device)

    def train(
        self,
        chunk: int,
        keep_step: int | None,
        measure: Measure | None,
        tick: Callable[[int], None],
        stopped: threading.Event,
    ) -> _Done:
        """To the recipe's last step."""
        recipe, kept, steps, rows = self._recipe, None, [], []
        measured: list[Tensor] = []
        for step in range(self._first, recipe.steps + 1):
            if step == keep_step:
                kept = self._standing(step)
            if step % recipe.evaluate_every == 0 or step in (self._first, recipe.steps):
                steps.append(step)
                rows.append(evaluate(self._execution, self._parameters, self._buffers, self._examples, chunk))
                if measure is not None:
                    measured.append(measure(self._parameters))
            if step == recipe.steps or stopped.is_set():
                break
            self._take(step)
            tick(self._networks)
        curves = Curves(torch.tensor(steps), torch.stack(rows))
        return _Done(self._standing(recipe.steps), curves, measured, kept)

    def _take(self, step: int) -> None:
        """One step of every network."""
        x, y = self._feed.batch(step)
        noise = functools.partial(self._feed.noise, step)
        self._execution.gradients(self._parameters, self._buffers, x, y, noise)
        for name, bits in self._keep_bits.items():
            gradient = self._parameters[name].grad
            assert gradient is not None
            gradient.view(bits.dtype).bitwise_and_(bits)
        set_learning_rate(self._optimizer, learning_rate(self._recipe, step))
        self._optimizer.step()

    def _standing(self, step: int) -> Stack:
        """The networks as they are now; a copy on the CPU."""
        state = optimizer_state(self._optimizer, self._parameters)
        return Stack(self._parameters, self._buffers, self._masks, state, step).to(torch.device("cpu"))


def _keep_bits(mask: Tensor, parameter: Tensor) -> Tensor:
    """All ones where the mask keeps, all zeros where it prunes, as integers as wide as the parameter's numbers."""
    return -mask.to(BITS[parameter.element_size()])


class _Feed:
    """The batch of each step: what is gathered and augmented once for all networks with the same data order."""

    def __init__(
        self, seeds: Sequence[NetworkSeeds], examples: Examples, recipe: TrainConfig, device: torch.device
    ) -> None:
        orders = tuple(dict.fromkeys(seed.order for seed in seeds))
        self._seeds, self._orders, self._examples = seeds, orders, examples
        self._which = torch.tensor([orders.index(seed.order) for seed in seeds], device=device)
        self._batches = Batches(orders, len(examples.train_labels), recipe.batch_size, device)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """x: (R, batch, *input_shape), y: (R, batch)."""
        places = self._batches.at(step)
        if self._examples.augment is None:
            places = places[self._which]
            return self._examples.train_inputs[places], self._examples.train_labels[places]
        augmented = [
            self._examples.augment(inputs, torch.Generator().manual_seed(stream(order, "augment", step)))
            for inputs, order in zip(self._examples.train_inputs[places], self._orders, strict=True)
        ]
        return torch.stack(augmented)[self._which], self._examples.train_labels[places][self._which]

    def noise(self, step: int, network: int) -> int:
        """The seed of one network's own random numbers at this step."""
        return stream(self._seeds[network].noise, step)
