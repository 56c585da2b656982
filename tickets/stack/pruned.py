"""Convolutions computed by their surviving weights, in any model; all other layers are computed by PyTorch.

For models that are not a chain (see chain.py), such as residual networks. A convolution multiplies whole planes of
pixels by each surviving weight (see planes.py), so that its cost is proportional to its density. The cost of the other
layers does not change.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tickets.stack.convolutions import convolution_of, pair, plain_convolutions
from tickets.stack.kernels import planes as kernels
from tickets.stack.networks import Tensors
from tickets.stack.planes import Planes, lay_out_planes
from tickets.stack.wiring import PlaneWiring, wire_planes


def by_surviving_weights(module: nn.Module, masks: Tensors) -> Callable[[int], None]:
    """Make a module's convolutions compute by their surviving weights.

    Parameters
    ----------
    module
        Changed in place.
    masks
        (R, *shape) bool, by parameter name. A convolution without a mask is unchanged.

    Returns
    -------
    Callable
        Selects the network, 0 to R - 1, whose masks the module uses from then on.
    """
    rooms: dict[tuple[Planes, torch.dtype], _Room] = {}
    pruned = [
        _PrunedConvolution(layer, masks[f"{name}.weight"], rooms)
        for name, layer in plain_convolutions(module)
        if f"{name}.weight" in masks
    ]

    def turn_to(index: int) -> None:
        for convolution in pruned:
            convolution.network = index

    return turn_to


class _PrunedConvolution:
    """The replaced forward pass of one layer, for the selected network."""

    def __init__(self, layer: nn.Conv2d, masks: Tensor, rooms: dict[tuple[Planes, torch.dtype], _Room]) -> None:
        self.network = 0
        self._layer, self._masks, self._rooms = layer, masks, rooms
        self._convolution, self._as_it_was = convolution_of(layer), layer.forward
        self._wirings: dict[tuple[int, Planes], PlaneWiring] = {}
        layer.forward = self._forward  # type: ignore[method-assign, assignment]

    def _forward(self, x: Tensor) -> Tensor:
        weight, image = self._layer.weight, x.shape[2:]
        fits = x.dim() == 4 and x.shape[1] == self._convolution.channels and x.dtype == weight.dtype
        if not fits or min(self._convolution.outputs(pair(image))) < 1:
            return self._as_it_was(x)
        planes = lay_out_planes(self._convolution, pair(image), x.element_size())
        room = self._rooms.get((planes, x.dtype))
        if room is None:
            room = self._rooms[planes, x.dtype] = _Room(planes, x.dtype)
        outputs: Tensor = _Convolve.apply(x, weight, self._layer.bias, self._wiring(planes), room)  # type: ignore[no-untyped-call]
        return outputs

    def _wiring(self, planes: Planes) -> PlaneWiring:
        key = self.network, planes
        if key not in self._wirings:
            self._wirings[key] = wire_planes(self._masks[self.network].numpy(), planes)
        return self._wirings[key]


class _Room:
    """Workspace for the planes of one geometry, shared by all convolutions that have it."""

    def __init__(self, planes: Planes, dtype: torch.dtype) -> None:
        self.planes = planes
        self.geometry = kernels.Geometry(
            phases=planes.phases,
            whole=np.zeros((1, 2), np.int64),
            stride=planes.stride,
            line=planes.line,
            plane=planes.plane,
            examples=planes.examples,
            margin=planes.margin,
            size=planes.size,
        )
        # The zeros between lines and examples are never written to.
        counts = (planes.read, planes.units, max(planes.read, planes.units))
        self.given, self.given_slopes, self.work = (
            torch.zeros(count * planes.size, dtype=dtype).numpy() for count in counts
        )


class _Convolve(torch.autograd.Function):
    """conv2d of x, (n, channels, height, width), with the surviving weights alone; the gradient of the others is 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, wiring: PlaneWiring, room: _Room) -> Tensor:
        """(n, units, height, width)."""
        images, numbers = x.detach().contiguous(), weight.detach().reshape(-1).numpy()[wiring.places]
        ctx.save_for_backward(images, weight)
        ctx.wiring, ctx.room = wiring, room
        outputs = torch.empty(len(x), room.planes.units, *room.planes.outputs, dtype=x.dtype)
        biases = np.zeros(room.planes.units, numbers.dtype) if bias is None else bias.detach().numpy()
        kernels.convolve(
            images.numpy(), room.geometry, wiring.forward, numbers, biases, room.given, room.work, outputs.numpy()
        )
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        """Gradients of the inputs that require them."""
        (images, weight), wiring, room = ctx.saved_tensors, ctx.wiring, ctx.room
        planes, wanted = room.planes, ctx.needs_input_grad
        numbers = weight.detach().reshape(-1).numpy()[wiring.places]
        gradients, by_weight = np.empty_like(numbers), torch.zeros_like(weight)
        # With a stride some pixels may never be read: their gradient is 0.
        whole = len(planes.phases) == math.prod(planes.stride)
        make = torch.empty_like if whole else torch.zeros_like
        by_images = make(images) if wanted[0] else images[:0]
        kernels.convolve_back(
            images.numpy(), slopes.contiguous().numpy(), room.geometry, wiring.forward, wiring.backward,
            numbers[wiring.backward_edge], room.given, room.given_slopes, room.work, gradients, by_images.numpy(),
        )  # fmt: skip
        by_weight.view(-1).numpy()[wiring.places] = gradients
        by_bias = slopes.sum((0, 2, 3)) if wanted[2] else None
        return by_images if wanted[0] else None, by_weight, by_bias, None, None
