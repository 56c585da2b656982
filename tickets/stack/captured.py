"""Training on a GPU by a CUDA graph: a step is recorded once, then replayed whole instead of kernel by kernel.

A small network's step is many short kernels, each of which Python would have to launch.

Never run on a GPU: its tests replay in Python what was recorded. run.json says so of every run that uses it (see
planning.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.stack.execution import Execution
from tickets.stack.feed import NetworkSeeds
from tickets.stack.networks import Stack
from tickets.stack.optimizers import set_learning_rate
from tickets.stack.schedules import learning_rate
from tickets.stack.shard import Shard
from tickets.stack.stepwise import Stepwise
from tickets.stack.workload import Workload

EAGER_STEPS = 3  # taken one by one first: they make the optimizer's state, the gradients and the libraries' workspaces


def begin_steps(
    execution: Execution, workload: Workload, start: Stack, seeds: Sequence[NetworkSeeds], examples: Examples
) -> Shard:
    """Networks made ready to train by an execution; on a GPU their steps are recorded, if they are all alike.

    They are if the examples are not augmented and the networks draw no dropout. A loss of the user's, and class
    weights, copy tensors to the GPU at every step, which cannot be recorded.
    """
    steady = ":" not in workload.recipe.loss and not workload.recipe.class_weights
    draws = any(isinstance(layer, nn.Dropout) for layer in workload.anatomy.module.modules())
    recorded = not workload.on_cpu and steady and examples.augment is None and not draws
    kind = Captured if recorded else Stepwise
    return kind(execution, start, seeds, examples, workload.recipe, workload.device)


class Captured(Stepwise):
    """See Shard. For executions that draw no random numbers, and examples that are not augmented.

    Its operations are those of Stepwise, on the same memory at every step. The indices of the batch's examples and the
    learning rate, which change from step to step, are written into that memory before a replay.
    """

    def __init__(
        self,
        execution: Execution,
        start: Stack,
        seeds: Sequence[NetworkSeeds],
        examples: Examples,
        recipe: TrainConfig,
        device: torch.device,
    ) -> None:
        super().__init__(execution, start, seeds, examples, recipe, device)
        for group in self._optimizer.param_groups:
            group["lr"] = torch.tensor(recipe.learning_rate, dtype=torch.float32, device=device)
        self._device = device
        self._taken = 0
        self._places: Tensor | None = None
        self._replay: Callable[[], None] | None = None

    def _take(self, step: int) -> None:
        """One step of every network."""
        self._taken += 1
        if self._taken <= EAGER_STEPS:
            beside(lambda: super(Captured, self)._take(step), self._device)
            return
        places = self._feed.places(step)
        if self._places is None:
            self._places = torch.empty_like(places)
        self._places.copy_(places)
        set_learning_rate(self._optimizer, learning_rate(self._recipe, step))
        if self._replay is None:
            self._replay = record(self._recorded, self._device)
        self._replay()

    def _recorded(self) -> None:
        """A step by the indices and the learning rate that are in memory."""
        assert self._places is not None
        self._update(*self._feed.gather(self._places), _no_noise)


def _no_noise(network: int) -> int:
    raise AssertionError("what is recorded draws no random numbers")


def record(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Record a step on a GPU; the function that is returned replays it. Recording does not execute the step."""
    with torch.cuda.device(device):
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
    replay: Callable[[], None] = graph.replay
    return replay


def beside(step: Callable[[], None], device: torch.device) -> None:
    """Take a step on a stream of its own, as PyTorch's notes on CUDA graphs require before a recording."""
    stream, current = torch.cuda.Stream(device), torch.cuda.current_stream(device)
    stream.wait_stream(current)
    with torch.cuda.stream(stream):
        step()
    current.wait_stream(stream)
