"""How a stack is computed: the interface that every strategy fills, and the choice among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from tickets.errors import InputError
from tickets.stack.layered import Layered, is_layered
from tickets.stack.looped import Looped
from tickets.stack.networks import Noise, Tensors
from tickets.stack.vectorised import Vectorised, cannot_vectorise

STRATEGIES = ("layered", "vectorised", "looped")


class Execution(Protocol):
    """One way to compute a stack of networks. All ways give the same numbers, to the last few bits.

    Shapes: x (R, batch, *input_shape), y (R, batch) int64, logits (R, batch, classes).
    """

    def gradients(self, parameters: Tensors, buffers: Tensors, x: Tensor, y: Tensor, noise: Noise) -> None:
        """Write each network's gradient of its mean cross-entropy into `parameters[...].grad`.

        Training mode: buffers (normalisation statistics) are updated in place, network by network, and
        network r draws its dropout from the seed noise(r).
        """

    def logits(self, parameters: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        """Every network's outputs in evaluation mode for the same inputs x (batch, *input_shape)."""


@dataclass(frozen=True)
class Choice:
    """A strategy, why it was chosen, and how many parts of a stack train side by side; recorded in run.json."""

    strategy: str
    reason: str
    lanes: int


def choose(
    module: nn.Module, input_shape: tuple[int, ...], device: torch.device, threads: int, wanted: str = "auto"
) -> Choice:
    """The strategy for a model on a device.

    `layered` where the model is a chain of Linear, ReLU and Dropout layers: batched products without autograd.
    Else `looped` where the model draws random numbers while it trains (each network needs its own), where vmap
    cannot run it, or where it has convolutions on a CPU (a stack of them becomes a grouped convolution, which
    is slower there than one network after the other). Else `vectorised`, by torch.func.vmap.

    On a CPU each thread is a lane of its own and trains its part of the stack alone: nothing waits for
    anything, where a kernel shared by all threads would wait for the slowest at every operation. A model that
    draws random numbers has one lane, for the generator that it draws from is shared.

    Raises InputError if `wanted` names a strategy that this model cannot be computed by.
    """
    chain = is_layered(module)
    obstacle = None if chain else cannot_vectorise(module, input_shape)
    convolutions = any(isinstance(layer, nn.modules.conv._ConvNd) for layer in module.modules())
    if wanted == "layered" and not chain:
        raise InputError(
            "compute.strategy = 'layered': the model must be an nn.Sequential of Flatten, Linear, ReLU and Dropout; "
            "use 'auto'"
        )
    if wanted == "vectorised" and obstacle:
        raise InputError(
            f"compute.strategy = 'vectorised': torch.func.vmap cannot train this model ({obstacle}); use 'auto'"
        )
    if wanted != "auto":
        strategy, reason = wanted, "set by compute.strategy"
    elif chain:
        strategy, reason = "layered", "the model is a chain of Linear, ReLU and Dropout layers"
    elif obstacle:
        strategy, reason = "looped", f"vmap cannot train this model: {obstacle}"
    elif device.type == "cpu" and convolutions:
        strategy, reason = "looped", "convolutions on a CPU"
    else:
        strategy, reason = "vectorised", "vmap trains this model"
    alone = device.type == "cpu" and not obstacle
    return Choice(strategy, reason, threads if alone else 1)


def make_execution(strategy: str, module: nn.Module) -> Execution:
    """The strategy with this name, over a template of the architecture (whose own values are not used)."""
    if strategy == "layered":
        return Layered(module)
    return Vectorised(module) if strategy == "vectorised" else Looped(module)
