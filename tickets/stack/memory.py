"""How many networks fit into memory at once."""

from __future__ import annotations

import math
from typing import Any

import psutil
import torch
from torch import Tensor, nn

EVALUATION_BYTES = 16 * 2**20


def activation_bytes(module: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Bytes that one example's outputs of all leaf modules take together, and the example itself."""
    total = 4 * math.prod(input_shape)

    def count(layer: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal total
        if isinstance(output, Tensor):
            total += output.numel() * output.element_size()

    hooks = [layer.register_forward_hook(count) for layer in module.modules() if not list(layer.children())]
    training = module.training
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(1, *input_shape))
    finally:
        module.train(training)
        for hook in hooks:
            hook.remove()
    return total


def network_bytes(module: nn.Module, input_shape: tuple[int, ...], batch_size: int) -> int:
    """An estimate of what one network takes while it trains in a stack.

    Each parameter counts six times (value, gradient, two optimizer states, mask, the stack it started from);
    a batch's activations count three times (forward, gradient, one temporary).
    """
    parameters = sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    return 6 * parameters + 3 * batch_size * activation_bytes(module, input_shape)


def networks_that_fit(bound: int, per_network: int) -> int:
    """How many networks of `per_network` bytes a bound in bytes lets train at once; at least one."""
    return max(1, bound // per_network)


def free_bytes(device: torch.device) -> int:
    """Memory that can be had on a device now, in bytes."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def evaluation_chunk(networks: int, activations: int, batch_size: int) -> int:
    """Examples at a time in an evaluation: few enough that the activations of so many networks stay within 16 MiB.

    Never fewer than a training batch, whose activations fit as it is. It depends on nothing that changes from
    one start to the next, so that a resumed run sums in the same order.
    """
    return max(batch_size, min(10_000, EVALUATION_BYTES // (networks * activations)))
