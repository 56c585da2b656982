"""What one forward pass of a network shows: the sizes of its activations, and the images that its convolutions read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tickets.stack.convolutions import ConvolutionUse, convolution_of, plain_convolutions


@dataclass(frozen=True)
class Forward:
    """A forward pass of one example.

    Parameters
    ----------
    activations
        Bytes of the outputs of all modules without children, and of the example.
    calls
        How often modules without children are called.
    convolutions
        By the name of a weight, the uses of each convolution that can be computed by its surviving weights.
    """

    activations: int
    calls: int
    convolutions: Mapping[str, Sequence[ConvolutionUse]]


def observe_forward(module: nn.Module, input_shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Forward:
    """Observe the forward pass of an example of zeros in evaluation mode; the network is left as it was.

    Parameters
    ----------
    module
        Any network.
    input_shape, dtype
        Of an example.
    """
    activations, calls = dtype.itemsize * math.prod(input_shape), 0
    found: dict[str, list[ConvolutionUse]] = {}
    weights = {layer: f"{name}.weight" for name, layer in plain_convolutions(module)}

    def observe(layer: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal activations, calls
        calls += 1
        if isinstance(output, Tensor):
            activations += output.numel() * output.element_size()
        if isinstance(layer, nn.Conv2d) and layer in weights and inputs[0].dim() == 4:
            down, across = inputs[0].shape[2:]
            found.setdefault(weights[layer], []).append(ConvolutionUse(convolution_of(layer), (down, across)))

    hooks = [layer.register_forward_hook(observe) for layer in module.modules() if not list(layer.children())]
    training, device = module.training, next(module.parameters()).device
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(1, *input_shape, dtype=dtype, device=device))
    finally:
        module.train(training)
        for hook in hooks:
            hook.remove()
    return Forward(activations, calls, found)
