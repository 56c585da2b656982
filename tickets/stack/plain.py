"""Training as a user would write it: a module, a torch.optim optimizer and a loop, one network after the other.

All other strategies are compared with it (see guard.py), and it trains what none of them trains in the same way.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.random_state import seed_generators, untouched_generators
from tickets.stack.attributes import changed_in, kept_elsewhere, plain_attributes
from tickets.stack.feed import Feed, NetworkSeeds
from tickets.stack.looped import EVALUATION_SEED, generators, seed_noise
from tickets.stack.networks import Stack, Tensors, hold_pruned
from tickets.stack.optimizers import fitting_states, own_states, put_states, set_learning_rate, stack_states
from tickets.stack.schedules import learning_rate
from tickets.stack.shard import Stopped, UnsaveableError
from tickets.stack.torch_optimizers import SGD, Adam, AdamW
from tickets.stack.trees import MisfitError, Tree, given, tensors_like
from tickets.tasks import Loss, task_of


class Plain:
    """See Shard. Each network has a module of its own, new from the function that builds the model."""

    def __init__(
        self,
        build: Callable[[], nn.Module],
        start: Stack,
        seeds: Sequence[NetworkSeeds],
        examples: Examples,
        recipe: TrainConfig,
        device: torch.device,
        build_seed: int = 0,
    ) -> None:
        """As Strategy.begin.

        build_seed: of what `build` draws. A network does not depend on it, unless its constructor draws numbers that
        are neither parameters nor buffers.
        """
        stack = start.to(device)
        self._recipe, self._device = recipe, device
        self._new_module = functools.partial(_built, build, build_seed)
        self._feed = Feed(seeds, examples, recipe, device)
        self._networks = [_Network(build, build_seed, stack, index, recipe) for index in range(len(stack))]

    def advance(self, first: int, last: int, tick: Callable[[int], None], stopped: Stopped) -> int:
        """See Shard.advance."""
        for step in range(first, last):
            if stopped.is_set():
                return step
            x, y = self._feed.batch(step)
            with generators(self._device):
                for index, network in enumerate(self._networks):
                    seed_noise(self._feed.noise(step, index), self._device)
                    network.step(x[index], y[index], learning_rate(self._recipe, step))
            tick(len(self._networks))
        return last

    @torch.no_grad()
    def logits(self, x: Tensor) -> Tensor:
        """See Shard.logits."""
        outputs = []
        with generators(self._device):
            for network in self._networks:
                seed_noise(EVALUATION_SEED, self._device)
                outputs.append(network.logits(x))
        return torch.stack(outputs)

    @property
    def unreached(self) -> list[frozenset[str]]:
        """Of each network, the parameters that no loss has reached yet."""
        return [frozenset(network.trained.keys() - network.reached) for network in self._networks]

    def attributes(self) -> list[dict[str, str]]:
        """Of each network, what its module keeps in plain attributes now."""
        return [plain_attributes(network.module) for network in self._networks]

    def parameters(self) -> Tensors:
        """See Shard.parameters."""
        return _stacked([network.values() for network in self._networks])

    def standing(self, step: int) -> Stack:
        """See Shard.standing."""
        values, trained = self.parameters(), self._networks[0].trained
        return Stack(
            parameters={name: tensor for name, tensor in values.items() if name in trained},
            buffers={name: tensor for name, tensor in values.items() if name not in trained},
            masks=_stacked([own.masks for own in self._networks]),
            pruned_values=_stacked([own.pruned_values for own in self._networks]),
            optimizer=stack_states(*zip(*((own.optimizer, own.trained) for own in self._networks), strict=True)),
            step=step,
        ).to(torch.device("cpu"))

    def state(self) -> Tree:
        """See Shard.state."""
        new = kept_elsewhere(self._new_module())
        for network in self._networks:
            if changed := changed_in([new, kept_elsewhere(network.module)]):
                raise UnsaveableError(
                    f"{', '.join(changed)} of the model changes as it trains, and is neither a parameter nor a buffer"
                )
        return [
            {"values": network.values(), "optimizer": own_states(network.optimizer, network.trained)}
            for network in self._networks
        ]

    def restore(self, state: Tree, step: int) -> None:
        """See Shard.restore."""
        if not isinstance(state, list) or len(state) != len(self._networks):
            raise MisfitError(f"must be the states of {len(self._networks)} networks")
        found = []
        for network, its in zip(self._networks, state, strict=True):
            values, optimizer = given(its, "values", "optimizer")
            states = fitting_states(self._recipe, network.trained, optimizer)
            found.append((tensors_like(values, network.values()), states))
        for network, (values, states) in zip(self._networks, found, strict=True):
            put_states(network.optimizer, network.trained, states)
            for name, tensor in _tensors(network.module).items():
                tensor.data.copy_(values[name])


class _Network:
    """One module and its optimizer. trained: its parameters by name, without the frozen ones. reached: by a loss."""

    def __init__(
        self, build: Callable[[], nn.Module], build_seed: int, stack: Stack, index: int, recipe: TrainConfig
    ) -> None:
        self._loss: Loss = task_of(recipe).loss
        self.module = _built(build, build_seed).to(next(iter(stack.parameters.values())).device)
        given = {name: tensor[index] for name, tensor in {**stack.parameters, **stack.buffers}.items()}
        self._shapes = {name: (tensor.shape, tensor.dtype) for name, tensor in given.items()}
        self.masks = {name: mask[index] for name, mask in stack.masks.items()}
        self.pruned_values = {name: values[index] for name, values in stack.pruned_values.items()}
        for name, tensor in _tensors(self.module).items():
            tensor.data = given[name].clone()
        self.trained = {name: one for name, one in self.module.named_parameters() if one.requires_grad}
        self.reached: set[str] = set()
        self.optimizer = _optimizer(recipe, self.trained)
        for key, states in stack.optimizer.items():
            for name, state in states.items():
                self.optimizer.state[self.trained[name]][key] = state[index].clone()

    def step(self, x: Tensor, y: Tensor, rate: float) -> None:
        """One step by a batch; a pruned weight gets the gradient 0 and stays what it is."""
        self.module.train()
        self.optimizer.zero_grad()
        self._loss(self.module(x), y).backward()
        self.reached |= {name for name, parameter in self.trained.items() if parameter.grad is not None}
        for name, mask in self.masks.items():
            gradient = self.trained[name].grad if name in self.trained else None
            if gradient is not None:
                gradient.masked_fill_(~mask, 0.0)
        set_learning_rate(self.optimizer, rate)
        self.optimizer.step()
        hold_pruned(self.trained, self.masks, self.pruned_values)

    def logits(self, x: Tensor) -> Tensor:
        """(n, *output); the buffers are afterwards as they were."""
        buffers = [(owner, dict(owner._buffers)) for owner in self.module.modules() if owner._buffers]
        values = {id(buffer): buffer.clone() for _, held in buffers for buffer in held.values() if buffer is not None}
        outputs: Tensor = self.module.eval()(x.clone())  # a model may write to its inputs
        for owner, held in buffers:
            owner._buffers.update(held)
            for buffer in held.values():
                if buffer is not None:
                    buffer.copy_(values[id(buffer)])
        return outputs

    def values(self) -> Tensors:
        """Every parameter and buffer. Raises ValueError if there are not those, of those shapes, that there were."""
        values = {name: tensor.detach() for name, tensor in _tensors(self.module).items()}
        found = {name: (tensor.shape, tensor.dtype) for name, tensor in values.items()}
        if found != self._shapes:
            changed = [name for name in found.keys() | self._shapes.keys() if found.get(name) != self._shapes.get(name)]
            raise ValueError(
                f"{', '.join(map(repr, sorted(changed)))}: came, went or changed in type or shape while the model "
                "trained; parameters and buffers must be there from the beginning, and keep their types and shapes"
            )
        return values


def _built(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    with untouched_generators():
        seed_generators(seed)
        return build()


def _stacked(networks: Sequence[Tensors]) -> Tensors:
    return {name: torch.stack([own[name] for own in networks]) for name in networks[0]}


def _tensors(module: nn.Module) -> Tensors:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _optimizer(recipe: TrainConfig, parameters: Mapping[str, Tensor]) -> torch.optim.Optimizer:
    """torch.optim's own, as it is without options for speed."""
    leaves, rate, decay = list(parameters.values()), recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "sgd":
        return SGD(leaves, rate, momentum=recipe.momentum, weight_decay=decay)
    kind = Adam if recipe.optimizer == "adam" else AdamW
    return kind(leaves, rate, weight_decay=decay)
