"""The gradients of a stack that holds every weight, pruned ones included: the interface."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from tickets.stack.networks import Noise, Tensors, Unreached


class Execution(Protocol):
    """One way to compute a stack of networks. All ways give the same numbers, to the last few bits.

    Shapes: x (R, batch, *input_shape), y (R, batch) int64 or (R, batch, k) float32, outputs (R, batch, *output).
    """

    def gradients(self, parameters: Tensors, buffers: Tensors, x: Tensor, y: Tensor, noise: Noise) -> Unreached:
        """Write each network's gradient of its mean loss into `parameters[...].grad`.

        It is None where no network's loss reaches the parameter, so that torch.optim leaves the parameter as it is.
        Training mode: buffers (normalisation statistics) are updated in place, network by network, and network r draws
        its dropout from the seed noise(r).

        Returns
        -------
        dict
            By parameter, the networks whose loss does not reach it, where the losses of others do; their gradients are
            0 there.
        """

    def logits(self, parameters: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        """Every network's outputs in evaluation mode for the same inputs x (batch, *input_shape); changes nothing."""
