"""What a strategy is chosen for: a network's anatomy, and how much of it is trained where."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from tickets.catalogue import Pruned
from tickets.config import TrainConfig
from tickets.stack.anatomy import Anatomy
from tickets.stack.memory import Sizes, sizes_of
from tickets.stack.vectorised import cannot_vectorise
from tickets.tasks import Task, is_plain_cross_entropy, task_of

# The obstacle of strategies that compute the gradient of `Workload.has_plain_loss` by hand.
ONLY_PLAIN_LOSS = "its gradient is that of train.loss = 'cross_entropy' without label smoothing or class weights"


@dataclass(frozen=True, eq=False)
class Workload:
    """Networks of one architecture that are trained by one recipe on one device.

    Parameters
    ----------
    anatomy
        The networks'.
    build
        Makes a module of the architecture, with the values of its constructor.
    recipe
        How they are trained.
    device
        Where.
    threads
        Of the CPU, for all of them together.
    networks
        How many of them train in lockstep: the replicates of a cohort, times arms and draws.
    pruned
        The values of their pruned weights: "zero", or "initial".
    targets
        The targets of some examples, for their type and shape; None for classes.
    """

    anatomy: Anatomy
    build: Callable[[], nn.Module]
    recipe: TrainConfig
    device: torch.device
    threads: int = 1
    networks: int = 1
    pruned: Pruned = "zero"
    targets: Tensor | None = None

    @property
    def on_cpu(self) -> bool:
        """Whether the device is the CPU."""
        return self.device.type == "cpu"

    @cached_property
    def task(self) -> Task:
        """What they are trained for."""
        return task_of(self.recipe)

    @property
    def has_plain_loss(self) -> bool:
        """Whether the loss is cross-entropy without label smoothing or class weights."""
        return is_plain_cross_entropy(self.recipe)

    @cached_property
    def sizes(self) -> Sizes:
        """The sizes of one network's tensors, in bytes."""
        return sizes_of(self.anatomy.module, self.anatomy.prunable, self.recipe)

    @cached_property
    def vmap_obstacle(self) -> str | None:
        """Why networks cannot be trained beside each other by torch.func.vmap; None if they can."""
        anatomy = self.anatomy
        if anatomy.chance.obstacle is not None:
            return anatomy.chance.obstacle
        why = cannot_vectorise(anatomy.module, anatomy.input_shape, anatomy.dtype, self.task.loss, self.targets)
        return None if why is None else f"vmap cannot train this model: {why}"

    @property
    def lanes(self) -> int:
        """Shards of a stack that may train side by side, each in a thread of its own.

        On a CPU each thread is a lane and trains its shard of the stack alone: no lane waits for another, where a
        kernel shared by all threads would wait for the slowest at every operation. Models that draw random numbers
        have one lane, for the generator that they draw from is shared, and so have all others that vmap cannot train.
        """
        return self.threads if self.on_cpu and self.vmap_obstacle is None else 1

    @property
    def batch_activations(self) -> int:
        """Bytes of a batch's activations, of one network."""
        return self.recipe.batch_size * self.anatomy.activations

    @property
    def batch_inputs(self) -> int:
        """Bytes of a batch of examples."""
        return self.recipe.batch_size * self.anatomy.dtype.itemsize * math.prod(self.anatomy.input_shape)
