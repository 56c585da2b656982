"""Batch normalisation of images on a CPU by a compiled kernel, for networks that are trained one at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tickets.stack.kernels import norms as kernels

FEW = 2**15  # numbers; for fewer the overhead of calling the kernel exceeds PyTorch's own time


def by_channels(module: nn.Module) -> None:
    """Make a module's BatchNorm2d layers use the kernel in training mode, where the kernel supports them."""
    for layer in module.modules():
        # A subclass, or an instance with its own forward, may compute anything.
        if type(layer) is nn.BatchNorm2d and "forward" not in vars(layer):
            _Norm(layer)


class _Norm:
    """The replaced forward pass of one layer."""

    def __init__(self, layer: nn.BatchNorm2d) -> None:
        self._layer, self._as_it_was = layer, layer.forward
        layer.forward = self._forward  # type: ignore[method-assign, assignment]

    def _forward(self, x: Tensor) -> Tensor:
        layer = self._layer
        dtype = x.dtype if layer.weight is None else layer.weight.dtype
        fits = x.dim() == 4 and x.shape[1] == layer.num_features and x.dtype == dtype
        many = x.numel() > max(FEW, layer.num_features)  # PyTorch raises an error for one number a channel
        known = x.device.type == "cpu" and dtype in (torch.float32, torch.float64)
        if not (layer.training and fits and many and known):
            return self._as_it_was(x)
        means, variances = np.empty((2, layer.num_features))
        outputs: Tensor = _Normalise.apply(x, layer.weight, layer.bias, layer.eps, means, variances)  # type: ignore[no-untyped-call]
        if layer.track_running_stats and layer.running_mean is not None:
            self._remember(means, variances, x.numel() // layer.num_features)
        return outputs

    def _remember(self, means: npt.NDArray[np.float64], variances: npt.NDArray[np.float64], count: int) -> None:
        """Update the running statistics as nn.BatchNorm2d does: exponentially, or cumulatively if momentum is None."""
        layer = self._layer
        assert layer.running_mean is not None
        assert layer.running_var is not None
        assert layer.num_batches_tracked is not None
        layer.num_batches_tracked.add_(1)
        part = 1 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
        for running, now in ((layer.running_mean, means), (layer.running_var, variances * (count / (count - 1)))):
            held = running.numpy()
            held += part * (now - held)


class _Normalise(torch.autograd.Function):
    """Batch normalisation of x, (n, channels, height, width), by its own statistics.

    The means and variances, (channels,), are written into the arrays given.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        epsilon: float,
        means: npt.NDArray[np.float64],
        variances: npt.NDArray[np.float64],
    ) -> Tensor:
        """(n, channels, height, width)."""
        images = x.detach().contiguous()
        factors = np.ones(x.shape[1], images.numpy().dtype) if weight is None else weight.detach().numpy()
        shifts = np.zeros_like(factors) if bias is None else bias.detach().numpy()
        outputs = torch.empty_like(images)
        kernels.normalise(_by_pixels(images), factors, shifts, epsilon, _by_pixels(outputs), means, variances)
        ctx.save_for_backward(images)
        ctx.factors, ctx.epsilon, ctx.means, ctx.variances = factors, epsilon, means, variances
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs that require them."""
        (images,), factors = ctx.saved_tensors, ctx.factors
        by_images, by_weight, by_bias = torch.empty_like(images), np.empty_like(factors), np.empty_like(factors)
        kernels.normalise_back(
            _by_pixels(images), _by_pixels(slopes.contiguous()), factors, ctx.epsilon, ctx.means,
            ctx.variances, _by_pixels(by_images), by_weight, by_bias,
        )  # fmt: skip
        found = by_images, torch.from_numpy(by_weight), torch.from_numpy(by_bias)
        asked = ctx.needs_input_grad[: len(found)]
        return *(gradient if one else None for gradient, one in zip(found, asked, strict=True)), None, None, None


def _by_pixels(images: Tensor) -> npt.NDArray[Any]:
    """(n, channels, pixels) of (n, channels, height, width)."""
    return images.numpy().reshape(*images.shape[:2], -1)
