"""A stack of any networks as one vectorised network, by torch.func.vmap over functional_call."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from tickets.stack.buffers import BuffersOf
from tickets.stack.networks import Noise, Tensors, Unreached
from tickets.tasks import Loss


class Vectorised:
    """Execution of any model that vmap can run and that draws no random numbers."""

    def __init__(self, module: nn.Module, loss: Loss) -> None:
        """loss: the mean loss of one network, from (outputs, targets) of a batch."""
        self._module, self._loss = copy.deepcopy(module), loss
        self.module = self._module  # what computes
        self._buffers = BuffersOf(self._module)
        self._given: Tensors = {}
        if self._buffers.names:
            self._module.register_forward_hook(self._with_what_is_new)

    def gradients(self, parameters: Tensors, buffers: Tensors, x: Tensor, y: Tensor, noise: Noise) -> Unreached:
        """See Execution.gradients."""
        for parameter in parameters.values():
            parameter.grad = None
        self._module.train()
        losses, changed = vmap(self._losses, randomness="error")(parameters, buffers, x, y)
        # Network r's loss depends on network r alone, so the gradient of the sum is every network's own.
        losses.sum().backward()
        for name, buffer in changed.items():
            buffers[name].copy_(buffer)
        return {}

    @torch.no_grad()
    def logits(self, parameters: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        """See Execution.logits."""
        self._module.eval()
        own = {name: buffers[name].clone() if name in self._buffers.names else buffers[name] for name in buffers}
        # A copy: a model may write to its inputs, as ReLU(inplace=True) does.
        outputs: Tensor = vmap(self._outputs, in_dims=(0, 0, None))(parameters, own, x.clone())[0]
        return outputs

    def _losses(self, parameters: Tensors, buffers: Tensors, x: Tensor, y: Tensor) -> tuple[Tensor, Tensors]:
        """Of one network; and what it has put in the place of buffers (self.m = ...)."""
        outputs, new = self._outputs(parameters, buffers, x)
        return self._loss(outputs, y), new

    def _outputs(self, parameters: Tensors, buffers: Tensors, x: Tensor) -> tuple[Tensor, Tensors]:
        if not self._buffers.names:
            return functional_call(self._module, (parameters, buffers), (x,)), {}
        self._given = buffers
        outputs: tuple[Tensor, Tensors] = functional_call(self._module, (parameters, buffers), (x,))
        return outputs

    def _with_what_is_new(self, module: nn.Module, inputs: Any, outputs: Tensor) -> tuple[Tensor, Tensors]:
        """A hook: within functional_call the module's buffers are those of the stack."""
        return outputs, self._buffers.replaced(self._given)


def cannot_vectorise(
    module: nn.Module,
    input_shape: tuple[int, ...],
    dtype: torch.dtype,
    loss: Loss,
    targets: Tensor | None = None,
) -> str | None:
    """Try to train and evaluate two networks on two examples by vmap.

    Parameters
    ----------
    module
        A template of the networks.
    input_shape, dtype
        Of an example.
    loss
        The mean loss of one network.
    targets
        Of some examples; None for classes.

    Returns
    -------
    str or None
        Why it fails; None if it does not.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Embedding) and layer.padding_idx is not None:
            # Seen with torch 2.13: only the first network's padding row gets no gradient.
            return "its gradients of an Embedding with padding_idx are wrong"
        if isinstance(layer, nn.EmbeddingBag):
            return "it has no rule for EmbeddingBag"
    named = dict(module.named_parameters())
    stacked = {name: torch.stack([value.detach()] * 2) for name, value in [*named.items(), *module.named_buffers()]}
    parameters = {name: stacked.pop(name).requires_grad_() for name, value in named.items() if value.requires_grad}
    device = next(iter(named.values())).device
    x = torch.zeros(2, 2, *input_shape, dtype=dtype, device=device)
    try:
        vectorised = Vectorised(module, loss)
        kind = torch.zeros(1, dtype=torch.int64) if targets is None else targets
        y = torch.zeros(2, 2, *kind.shape[1:], dtype=kind.dtype, device=device)
        vectorised.gradients(parameters, stacked, x, y, int)
        vectorised.logits(parameters, stacked, x[0])
    except (Exception, SystemExit) as error:  # of the user's own code too
        message = str(error).strip() or type(error).__name__
        return message.splitlines()[0].split(". ")[0]
    return None
