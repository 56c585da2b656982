"""The gradients of a stack whose every weight is held: the interface, and the three ways to compute them."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn
from torch.nn import functional

from tickets.stack.layered import Layered
from tickets.stack.looped import Looped
from tickets.stack.networks import Noise, Tensors, Unreached
from tickets.stack.vectorised import Vectorised
from tickets.tasks import Loss


class Execution(Protocol):
    """One way to compute a stack of networks. All ways give the same numbers, to the last few bits.

    Shapes: x (R, batch, *input_shape), y (R, batch) int64 or (R, batch, k) float32, outputs (R, batch, *output).
    """

    def gradients(self, parameters: Tensors, buffers: Tensors, x: Tensor, y: Tensor, noise: Noise) -> Unreached:
        """Write each network's gradient of its mean loss into `parameters[...].grad`.

        It is None where no network's loss reaches the parameter, so that torch.optim leaves the parameter as it is.
        Returned is where some losses do and others do not; their gradients are 0 there.
        Training mode: buffers (normalisation statistics) are updated in place, network by network, and
        network r draws its dropout from the seed noise(r).
        """

    def logits(self, parameters: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        """Every network's outputs in evaluation mode for the same inputs x (batch, *input_shape); changes nothing."""


def make_execution(
    strategy: str, module: nn.Module, masks: Tensors | None = None, loss: Loss = functional.cross_entropy
) -> Execution:
    """By a strategy's name, over a template of the architecture (whose own values are not used).

    `sparse` is `looped` with convolutions by their surviving weights. masks: of the stack, (R, *shape); `sparse` alone
    needs them. loss: the mean loss of one network, from (outputs, targets); `layered` has cross-entropy's alone.
    """
    if strategy == "layered":
        return Layered(module)
    if strategy == "vectorised":
        return Vectorised(module, loss)
    return Looped(module, masks if strategy == "sparse" else None, loss)
