"""Training step by step: the gradients by one of the executions, the update by PyTorch's own optimizers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.stack.execution import Execution
from tickets.stack.feed import Feed, NetworkSeeds
from tickets.stack.memory import Sizes
from tickets.stack.networks import Noise, Stack, Tensors, hold_pruned
from tickets.stack.optimizers import (
    OnePerNetwork,
    fitting_states,
    make_optimizer,
    optimizer_state,
    own_states,
    put_states,
    set_learning_rate,
    take_step,
)
from tickets.stack.schedules import learning_rate
from tickets.stack.shard import Stopped
from tickets.stack.trees import MisfitError, Tree, given, tensors_like

BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


class Stepwise:
    """See Shard. All weights are stored, pruned ones included.

    The bits of a pruned weight's gradient are cleared before the optimizer's step (a product with the mask would let a
    NaN through), and its state starts at zero, so that a pruned weight that is 0.0 remains exactly 0.0. `hold_pruned`
    restores other values after every step.
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
        stack = start.to(device)
        self._execution, self._recipe, self._networks = execution, recipe, len(start)
        self._parameters = {name: tensor.requires_grad_() for name, tensor in stack.parameters.items()}
        self._buffers, self._masks, self._pruned_values = stack.buffers, stack.masks, stack.pruned_values
        self._keep_bits = {
            name: _keep_bits(mask, self._parameters[name])
            for name, mask in stack.masks.items()
            if name in self._parameters
        }
        self._rate = recipe.learning_rate
        self._apart: OnePerNetwork | None = None
        if _counts_differ(stack.optimizer):
            self._part(stack.optimizer)
        else:
            self._optimizer = make_optimizer(recipe, self._parameters, stack.optimizer)
        self._feed = Feed(seeds, examples, recipe, device)

    def advance(self, first: int, last: int, tick: Callable[[int], None], stopped: Stopped) -> int:
        """See Shard.advance."""
        for step in range(first, last):
            if stopped.is_set():
                return step
            self._take(step)
            tick(self._networks)
        return last

    def _take(self, step: int) -> None:
        """One step of every network."""
        self._rate = learning_rate(self._recipe, step)
        if self._apart is None:
            set_learning_rate(self._optimizer, self._rate)
        self._update(*self._feed.batch(step), functools.partial(self._feed.noise, step))

    def _update(self, x: Tensor, y: Tensor, noise: Noise) -> None:
        """The gradients of one batch, and the optimizer's step by them."""
        unreached = self._execution.gradients(self._parameters, self._buffers, x, y, noise)
        for name, bits in self._keep_bits.items():
            gradient = self._parameters[name].grad
            if gradient is not None:
                gradient.view(bits.dtype).bitwise_and_(bits)
        if unreached and self._apart is None:
            self._part(optimizer_state(self._optimizer, self._parameters))
        if self._apart is not None:
            self._apart.step(unreached, self._rate)
        else:
            take_step(self._optimizer)
        hold_pruned(self._parameters, self._masks, self._pruned_values)

    def _part(self, state: Mapping[str, Tensors]) -> None:
        """Go on with an optimizer for each network."""
        self._apart = OnePerNetwork(self._recipe, self._parameters, state, range(self._networks))

    def logits(self, x: Tensor) -> Tensor:
        """See Shard.logits."""
        return self._execution.logits(self._parameters, self._buffers, x)

    def parameters(self) -> Tensors:
        """See Shard.parameters."""
        return {**{name: parameter.detach() for name, parameter in self._parameters.items()}, **self._buffers}

    def standing(self, step: int) -> Stack:
        """See Shard.standing."""
        apart = self._apart
        state = optimizer_state(self._optimizer, self._parameters) if apart is None else apart.state()
        stack = Stack(self._parameters, self._buffers, self._masks, state, step, self._pruned_values)
        return stack.to(torch.device("cpu"))

    def state(self) -> Tree:
        """See Shard.state."""
        apart = self._apart
        return {
            "parameters": self._parameters,
            "buffers": self._buffers,
            "optimizer": own_states(self._optimizer, self._parameters) if apart is None else apart.own_states(),
        }

    def restore(self, state: Tree, step: int) -> None:
        """See Shard.restore."""
        parameters, buffers, optimizer = given(state, "parameters", "buffers", "optimizer")
        parameters, buffers = tensors_like(parameters, self._parameters), tensors_like(buffers, self._buffers)
        if isinstance(optimizer, list):  # each network has its own
            apart = OnePerNetwork(self._recipe, self._parameters, {}, range(self._networks))
            apart.restore(optimizer)
            self._apart = apart
        elif self._apart is None:
            put_states(self._optimizer, self._parameters, fitting_states(self._recipe, self._parameters, optimizer))
        else:
            raise MisfitError("must be the states of an optimizer for each network")
        with torch.no_grad():
            for mine, found in ((self._parameters, parameters), (self._buffers, buffers)):
                for name, tensor in mine.items():
                    tensor.copy_(found[name])


def stepwise_bytes(sizes: Sizes) -> int:
    """Bytes of one network in training: its values, gradients, masks, keep bits (as wide as weights) and states."""
    return 2 * sizes.parameters + sizes.buffers + sizes.weights + sizes.masks + sizes.states


def _counts_differ(state: Mapping[str, Tensors]) -> bool:
    """Whether the networks of a stack have taken different numbers of steps."""
    return any(bool((count != count[0]).any()) for count in state.get("step", {}).values())


def _keep_bits(mask: Tensor, parameter: Tensor) -> Tensor:
    """All ones where the mask keeps, all zeros where it prunes, as integers as wide as the parameter's numbers."""
    return -mask.to(BITS[parameter.element_size()])
