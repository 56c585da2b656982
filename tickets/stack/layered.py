"""A stack of fully connected networks as one batched matrix product a layer, with the gradient written out.

Autograd would allocate every intermediate anew at every step, which small networks notice. The gradient of a chain of
Linear, ReLU and Dropout layers under cross-entropy, or under the squared error to one-hot targets, is short enough to
write.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tickets.models.scale import Scale
from tickets.stack.chain import Link
from tickets.stack.networks import Noise, Tensors, Unreached


@dataclass(frozen=True)
class _Layer:
    weight: str
    bias: str | None
    scale: float
    relu: bool
    dropout: float


class Layered:
    """Execution of a complete chain of Linear layers, each followed by a Scale, ReLU and Dropout, or some of them.

    one_hot: whether the loss is the squared error to one-hot targets; else it is cross-entropy.
    """

    def __init__(self, links: Sequence[Link], *, one_hot: bool = False) -> None:
        self._slope = _slope_of_squares if one_hot else _slope_of_cross_entropy
        self._layers = [_layer(link) for link in links]
        self._workspace: dict[tuple[str, int], Tensor] = {}

    @torch.no_grad()
    def gradients(self, parameters: Tensors, buffers: Tensors, x: Tensor, y: Tensor, noise: Noise) -> Unreached:
        """See Execution.gradients; a complete chain has no buffers."""
        inputs = [x.flatten(2)]  # of each layer, (R, batch, in); then the logits
        kept = self._draw(parameters, x, noise)
        for index, layer in enumerate(self._layers):
            shape = (*inputs[-1].shape[:2], parameters[layer.weight].shape[1])
            inputs.append(_forward(layer, parameters, inputs[-1], self._space("out", index, shape, x)))
            if index in kept:
                inputs[-1] *= kept[index]
        slope = self._slope(inputs[-1], y)
        for index in range(len(self._layers) - 1, -1, -1):
            layer = self._layers[index]
            weight = parameters[layer.weight]
            if layer.scale != 1:
                slope *= layer.scale
            torch.bmm(slope.transpose(1, 2), inputs[index], out=_gradient(weight))
            if layer.bias is not None:
                torch.sum(slope, 1, out=_gradient(parameters[layer.bias]))
            if index > 0:
                back = self._space("back", index, tuple(inputs[index].shape), x)
                slope = torch.bmm(slope, weight, out=back)
                if index - 1 in kept:
                    slope *= kept[index - 1]
                if self._layers[index - 1].relu:
                    torch.ops.aten.threshold_backward.grad_input(slope, inputs[index], 0, grad_input=slope)
        return {}

    @torch.no_grad()
    def logits(self, parameters: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        """See Execution.logits."""
        networks = len(parameters[self._layers[0].weight])
        hidden = x.flatten(1).expand(networks, -1, -1)  # (R, batch, in)
        for layer in self._layers:
            hidden = _forward(layer, parameters, hidden, None)
        return hidden

    def _draw(self, parameters: Tensors, x: Tensor, noise: Noise) -> dict[int, Tensor]:
        """By the layer that it follows, what a dropout multiplies each output by: 0, or 1 / (1 - rate).

        As torch's own dropout draws it on a CPU, layer after layer from the network's own seed.
        """
        networks, batch = x.shape[:2]
        kept = {
            index: self._space("kept", index, (networks, batch, parameters[layer.weight].shape[1]), x)
            for index, layer in enumerate(self._layers)
            if layer.dropout > 0
        }
        generator = torch.Generator(x.device)
        for network in range(networks if kept else 0):
            generator.manual_seed(noise(network))
            for index, space in kept.items():
                stays = 1 - self._layers[index].dropout
                space[network].bernoulli_(stays, generator=generator).div_(stays or 1)
        return kept

    def _space(self, use: str, index: int, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Memory for one intermediate, the same at every step."""
        space = self._workspace.get((use, index))
        if space is None or space.shape != shape:
            space = self._workspace[use, index] = like.new_empty(shape)
        return space


def _slope_of_cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """The gradient of the mean by the logits, (softmax - one-hot) / batch. Both are (R, batch, classes); y: (R, batch).

    Softmax along the middle axis: along the last, which is short, it takes several times as long.
    """
    slope = torch.softmax(logits.transpose(1, 2).contiguous(), 1)  # (R, classes, batch)
    slope.scatter_add_(1, y.unsqueeze(1), torch.full_like(slope[:, :1], -1.0))
    return slope.div_(y.shape[1]).transpose(1, 2)


def _slope_of_squares(outputs: Tensor, y: Tensor) -> Tensor:
    """The gradient of the mean by the outputs, 2 (outputs - one-hot) / (batch classes); shapes as for cross-entropy."""
    slope = outputs.clone()
    slope.scatter_add_(2, y.unsqueeze(2), torch.full_like(slope[:, :, :1], -1.0))
    return slope.mul_(2 / slope[0].numel())


def _layer(link: Link) -> _Layer:
    return _Layer(
        weight=link.weight,
        bias=link.bias,
        scale=math.prod(layer.factor for layer in link.between if isinstance(layer, Scale)),
        relu=any(isinstance(layer, nn.ReLU) for layer in link.between),
        dropout=next((layer.p for layer in link.between if isinstance(layer, nn.Dropout)), 0.0),
    )


def _forward(layer: _Layer, parameters: Tensors, x: Tensor, out: Tensor | None) -> Tensor:
    """relu(scale (x W^T + b)) of every network. x: (R, batch, in); returns (R, batch, out)."""
    weight = parameters[layer.weight].transpose(1, 2)
    if layer.bias is None:
        y = torch.bmm(x, weight) if out is None else torch.bmm(x, weight, out=out)
    else:
        bias = parameters[layer.bias].unsqueeze(1)
        y = torch.baddbmm(bias, x, weight) if out is None else torch.baddbmm(bias, x, weight, out=out)
    if layer.scale != 1:
        y.mul_(layer.scale)
    return y.relu_() if layer.relu else y


def _gradient(parameter: Tensor) -> Tensor:
    """Where a parameter's gradient goes: the same memory at every step."""
    if parameter.grad is None:
        parameter.grad = torch.empty_like(parameter)
    return parameter.grad
