"""A stack of fully connected networks as one batched matrix product a layer, with the gradient written out.

Autograd would allocate every intermediate anew at every step, which small networks notice. The gradient of a
chain of Linear and ReLU layers under cross-entropy is short enough to write.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tickets.stack.networks import Noise, Tensors


@dataclass(frozen=True)
class _Layer:
    weight: str
    bias: str | None
    relu: bool


def is_layered(module: nn.Module) -> bool:
    """Whether the network is an nn.Sequential of an optional Flatten, then Linear and ReLU layers, Linear last."""
    if type(module) is not nn.Sequential:
        return False
    layers = list(module)
    if layers and type(layers[0]) is nn.Flatten and layers[0].start_dim == 1 and layers[0].end_dim == -1:
        layers = layers[1:]
    kinds = "".join("L" if type(layer) is nn.Linear else "R" if type(layer) is nn.ReLU else "?" for layer in layers)
    hooked = any(layer._forward_hooks or layer._forward_pre_hooks for layer in module.modules())
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    shared = len({id(parameter) for parameter in parameters}) != len(parameters)
    return kinds.startswith("L") and kinds.endswith("L") and not set(kinds) - {"L", "R"} and not hooked and not shared


class Layered:
    """Execution of a model for which `is_layered` holds."""

    def __init__(self, module: nn.Module) -> None:
        assert isinstance(module, nn.Sequential)
        layers = [(name, layer) for name, layer in module.named_children() if not isinstance(layer, nn.Flatten)]
        following = [*(layer for _, layer in layers[1:]), None]
        self._layers = [
            _Layer(f"{name}.weight", None if layer.bias is None else f"{name}.bias", isinstance(after, nn.ReLU))
            for (name, layer), after in zip(layers, following, strict=True)
            if isinstance(layer, nn.Linear)
        ]
        self._workspace: dict[tuple[str, int], Tensor] = {}

    @torch.no_grad()
    def gradients(self, parameters: Tensors, buffers: Tensors, x: Tensor, y: Tensor, noise: Noise) -> None:
        """See Execution.gradients; a chain of Linear and ReLU layers has no buffers and draws nothing."""
        inputs = [x.flatten(2)]  # of each layer, (R, batch, in); then the logits
        for index, layer in enumerate(self._layers):
            shape = (*inputs[-1].shape[:2], parameters[layer.weight].shape[1])
            inputs.append(_forward(layer, parameters, inputs[-1], self._space("out", index, shape, x)))
        # The gradient of the mean cross-entropy by the logits: (softmax - one-hot) / batch.
        slope = torch.softmax(inputs[-1], -1)
        slope.scatter_add_(2, y.unsqueeze(2), torch.full_like(slope[:, :, :1], -1.0))
        slope /= y.shape[1]
        for index in range(len(self._layers) - 1, -1, -1):
            layer = self._layers[index]
            weight = parameters[layer.weight]
            torch.bmm(slope.transpose(1, 2), inputs[index], out=_gradient(weight))
            if layer.bias is not None:
                torch.sum(slope, 1, out=_gradient(parameters[layer.bias]))
            if index > 0:
                back = self._space("back", index, tuple(inputs[index].shape), x)
                slope = torch.bmm(slope, weight, out=back)
                if self._layers[index - 1].relu:
                    torch.ops.aten.threshold_backward.grad_input(slope, inputs[index], 0, grad_input=slope)

    @torch.no_grad()
    def logits(self, parameters: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        """See Execution.logits."""
        networks = len(parameters[self._layers[0].weight])
        hidden = x.flatten(1).expand(networks, -1, -1)  # (R, batch, in)
        for layer in self._layers:
            hidden = _forward(layer, parameters, hidden, None)
        return hidden

    def _space(self, use: str, index: int, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Memory for one intermediate, the same at every step."""
        space = self._workspace.get((use, index))
        if space is None or space.shape != shape:
            space = self._workspace[use, index] = like.new_empty(shape)
        return space


def _forward(layer: _Layer, parameters: Tensors, x: Tensor, out: Tensor | None) -> Tensor:
    """relu(x W^T + b) of every network. x: (R, batch, in); returns (R, batch, out)."""
    weight = parameters[layer.weight].transpose(1, 2)
    if layer.bias is None:
        y = torch.bmm(x, weight) if out is None else torch.bmm(x, weight, out=out)
    else:
        bias = parameters[layer.bias].unsqueeze(1)
        y = torch.baddbmm(bias, x, weight) if out is None else torch.baddbmm(bias, x, weight, out=out)
    return y.relu_() if layer.relu else y


def _gradient(parameter: Tensor) -> Tensor:
    """Where a parameter's gradient goes: the same memory at every step."""
    if parameter.grad is None:
        parameter.grad = torch.empty_like(parameter)
    return parameter.grad
