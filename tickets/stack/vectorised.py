"""A stack of any networks as one vectorised network, by torch.func.vmap over functional_call."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional

from tickets.stack.networks import Noise, Tensors


class Vectorised:
    """Execution of any model that vmap can run and that draws no random numbers."""

    def __init__(self, module: nn.Module) -> None:
        self._module = copy.deepcopy(module)

    def gradients(self, parameters: Tensors, buffers: Tensors, x: Tensor, y: Tensor, noise: Noise) -> None:
        """See Execution.gradients."""
        for parameter in parameters.values():
            parameter.grad = None
        self._module.train()
        losses = vmap(self._loss, randomness="error")(parameters, buffers, x, y)
        # Network r's loss depends on network r alone, so the gradient of the sum is every network's own.
        losses.sum().backward()
        for parameter in parameters.values():
            if parameter.grad is None:  # nothing of the loss goes through it
                parameter.grad = torch.zeros_like(parameter)

    @torch.no_grad()
    def logits(self, parameters: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        """See Execution.logits."""
        self._module.eval()
        return vmap(self._outputs, in_dims=(0, 0, None))(parameters, buffers, x)

    def _outputs(self, parameters: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        outputs: Tensor = functional_call(self._module, (parameters, buffers), (x,))
        return outputs

    def _loss(self, parameters: Tensors, buffers: Tensors, x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(self._outputs(parameters, buffers, x), y)


def cannot_vectorise(module: nn.Module, input_shape: tuple[int, ...]) -> str | None:
    """Why vmap cannot train this model, or None if it can; tried on two networks and two examples."""
    parameters = {name: torch.stack([value.detach()] * 2).requires_grad_() for name, value in module.named_parameters()}
    buffers = {name: torch.stack([value.detach()] * 2) for name, value in module.named_buffers()}
    device = next(iter(parameters.values())).device
    x = torch.zeros(2, 2, *input_shape, device=device)
    try:
        Vectorised(module).gradients(parameters, buffers, x, torch.zeros(2, 2, dtype=torch.int64, device=device), int)
        with torch.no_grad():  # in evaluation mode too
            Vectorised(module).logits(parameters, buffers, x[0])
    except (RuntimeError, ValueError) as error:
        told = str(error).strip() or type(error).__name__
        return told.splitlines()[0].split(". ")[0]
    return None
