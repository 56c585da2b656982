"""A stack of any networks one after the other: for models that vmap slows down or cannot run."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from tickets.models.chance import is_of_torch
from tickets.stack.buffers import BuffersOf
from tickets.stack.jit import jit_is_off
from tickets.stack.networks import Noise, Tensors, Unreached
from tickets.tasks import Loss

EVALUATION_SEED = 0  # of random numbers that a model draws in evaluation mode


class Looped:
    """Execution of any model, one network at a time; each draws its own random numbers.

    One module computes every network in turn. Its parameters and buffers are views into the stack's, so that the
    forward pass, activations that are recomputed in the backward pass (torch.utils.checkpoint), and any reference to a
    parameter see the numbers of that network.
    """

    def __init__(self, module: nn.Module, loss: Loss, masks: Tensors | None = None) -> None:
        """Parameters
        ----------
        module
            A template of the networks.
        loss
            The mean loss of one network, from the outputs and targets of a batch.
        masks
            Of the stack, (R, *shape) bool, to compute convolutions by their surviving weights; None for whole ones.
        """
        self._loss = loss
        self._module = copy.deepcopy(module)
        self.module = self._module  # what computes
        self._parameters = dict(self._module.named_parameters())
        self._buffers = BuffersOf(self._module)
        self._gradients: Tensors = {}
        self._may_draw = not is_of_torch(module)
        self._turn_to: Callable[[int], None] = lambda index: None
        if masks is not None:
            from tickets.stack.pruned import by_surviving_weights  # its compiler takes half a second to import

            self._turn_to = by_surviving_weights(self._module, masks)
        if any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules()) and not jit_is_off():
            from tickets.stack.norms import by_channels

            by_channels(self._module)

    def gradients(self, parameters: Tensors, buffers: Tensors, x: Tensor, y: Tensor, noise: Noise) -> Unreached:
        """See Execution.gradients."""
        self._module.train()
        for name, parameter in parameters.items():
            if name not in self._gradients:
                self._gradients[name] = torch.zeros_like(parameter)
            parameter.grad = self._gradients[name].zero_()
        unreached: dict[str, list[int]] = {}
        with generators(x.device):
            for index in range(len(x)):
                seed_noise(noise(index), x.device, self._may_draw)
                self._stand_for(index, parameters, buffers)
                before = {name: self._gradients[name]._version for name in parameters}
                self._loss(self._module(x[index]), y[index]).backward()
                for name, buffer in self._buffers.replaced().items():
                    buffers[name][index] = buffer
                self._buffers.put_back()
                for name, version in before.items():
                    if self._gradients[name]._version == version:  # a gradient is added in place
                        unreached.setdefault(name, []).append(index)
        for name in [name for name, networks in unreached.items() if len(networks) == len(x)]:
            parameters[name].grad = None
            del unreached[name]
        return unreached

    @torch.no_grad()
    def logits(self, parameters: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        """See Execution.logits."""
        self._module.eval()
        own = {name: buffers[name].clone() if name in self._buffers.names else buffers[name] for name in buffers}
        outputs = []
        with generators(x.device):
            for index in range(len(next(iter(parameters.values())))):
                seed_noise(EVALUATION_SEED, x.device, self._may_draw)
                self._stand_for(index, parameters, own)
                # Each network its own copy: a model may write to its inputs, as ReLU(inplace=True) does.
                outputs.append(self._module(x.clone()))
                self._buffers.put_back()
        return torch.stack(outputs)

    def _stand_for(self, index: int, parameters: Tensors, buffers: Tensors) -> None:
        """Make the module one network of the stack; frozen parameters are among the stack's buffers."""
        self._turn_to(index)
        for name, parameter in self._parameters.items():
            trained = parameters.get(name)
            parameter.data = buffers[name][index] if trained is None else trained.detach()[index]
            gradient = None if trained is None else trained.grad
            parameter.grad = None if gradient is None else gradient[index]
        self._buffers.stand_for(index, buffers)


@contextmanager
def generators(device: torch.device) -> Iterator[None]:
    """Restore the state of PyTorch's generators on exit."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def seed_noise(seed: int, device: torch.device, all_of_them: bool = True) -> None:
    """Seed the global generators; unlike torch.manual_seed, those of other accelerators stay as they are.

    all_of_them: also Python's and NumPy's.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)
    if all_of_them:
        random.seed(seed)
        np.random.seed(seed & 0xFFFFFFFF)
