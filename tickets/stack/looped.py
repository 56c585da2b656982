"""A stack of any networks one after the other: for models that vmap slows down or cannot run."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from tickets.models.chance import is_of_torch
from tickets.seeds import stream
from tickets.stack.jit import jit_is_off
from tickets.stack.networks import Noise, Tensors


class Looped:
    """Execution of any model, one network at a time; each draws its own random numbers.

    In evaluation, those of a stream that goes on from its last training step; before the first, all draw the same.
    """

    def __init__(self, module: nn.Module, masks: Tensors | None = None) -> None:
        """masks: of the stack, (R, *shape), if convolutions are to be computed by their surviving weights alone."""
        self._module = copy.deepcopy(module)
        self._may_draw = not is_of_torch(module)
        self._last: Noise = lambda index: 0
        self._turn_to: Callable[[int], None] = lambda index: None
        if masks is not None:
            from tickets.stack.pruned import by_surviving_weights  # its compiler takes half a second to import

            self._turn_to = by_surviving_weights(self._module, masks)
        if any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules()) and not jit_is_off():
            from tickets.stack.norms import by_channels

            by_channels(self._module)

    def gradients(self, parameters: Tensors, buffers: Tensors, x: Tensor, y: Tensor, noise: Noise) -> None:
        """See Execution.gradients."""
        self._module.train()
        self._last = noise
        for parameter in parameters.values():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            parameter.grad.zero_()
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            for index in range(len(x)):
                _seed(noise(index), x.device, all_of_them=self._may_draw)
                leaves = _leaves(parameters, index)
                outputs = self._outputs(index, leaves, buffers, x[index])
                functional.cross_entropy(outputs, y[index]).backward()

    @torch.no_grad()
    def logits(self, parameters: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        """See Execution.logits."""
        self._module.eval()
        networks = len(next(iter(parameters.values())))
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            outputs = [
                self._outputs(index, {name: parameter[index] for name, parameter in parameters.items()}, buffers, x)
                for index in range(networks)
            ]
        return torch.stack(outputs)

    def _outputs(self, index: int, parameters: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        """Of one network, with these parameters and its own of the stack's buffers."""
        self._turn_to(index)
        if self._may_draw and not self._module.training:
            _seed(stream(self._last(index), "evaluation"), x.device, all_of_them=True)
        own = {name: buffer[index] for name, buffer in buffers.items()}
        outputs: Tensor = functional_call(self._module, (parameters, own), (x,))
        return outputs


def _leaves(parameters: Tensors, index: int) -> Tensors:
    """One network's parameters as leaves whose values and gradients are views into the stack's."""
    leaves = {}
    for name, parameter in parameters.items():
        leaf = parameter.detach()[index].requires_grad_()
        assert parameter.grad is not None
        leaf.grad = parameter.grad[index]
        leaves[name] = leaf
    return leaves


def _seed(seed: int, device: torch.device, all_of_them: bool) -> None:
    """Seed what the model draws from. torch.manual_seed would seed every accelerator too.

    all_of_them: Python's and NumPy's global generators too.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)
    if all_of_them:
        random.seed(seed)
        np.random.seed(seed & 0xFFFFFFFF)
