"""Batch normalisation of images on a CPU, several times as fast as PyTorch's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tickets.stack.kernels import forget_what_is_stale
from tickets.stack.kernels import norms as kernels


def by_channels(module: nn.Module) -> None:
    """Change a module's BatchNorm2d layers to compute by the kernels here while they train, where these can."""
    forget_what_is_stale(kernels.normalise)
    for layer in module.modules():
        if type(layer) is nn.BatchNorm2d:  # one that is derived from it may compute anything
            _Norm(layer)


class _Norm:
    """What a layer computes."""

    def __init__(self, layer: nn.BatchNorm2d) -> None:
        self._layer, self._as_it_was = layer, layer.forward
        layer.forward = self._forward  # type: ignore[method-assign, assignment]

    def _forward(self, x: Tensor) -> Tensor:
        layer = self._layer
        dtype = x.dtype if layer.weight is None else layer.weight.dtype
        fits = x.dim() == 4 and x.shape[1] == layer.num_features and x.dtype == dtype
        several = x.numel() > layer.num_features  # PyTorch refuses one number a channel, and says so
        known = x.device.type == "cpu" and dtype in (torch.float32, torch.float64)
        if not (layer.training and fits and several and known):
            return self._as_it_was(x)
        outputs, means, variances = _Normalise.apply(x, layer.weight, layer.bias, layer.eps)  # type: ignore[no-untyped-call]
        if layer.track_running_stats and layer.running_mean is not None:
            self._remember(means, variances, x.numel() // layer.num_features)
        return outputs  # type: ignore[no-any-return]

    @torch.no_grad()
    def _remember(self, means: Tensor, variances: Tensor, count: int) -> None:
        """As nn.BatchNorm2d: the running statistics go a part of the way to these; momentum None: to their average."""
        layer = self._layer
        assert layer.running_mean is not None
        assert layer.running_var is not None
        assert layer.num_batches_tracked is not None
        layer.num_batches_tracked.add_(1)
        part = 1 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
        layer.running_mean.lerp_(means.to(layer.running_mean), part)
        layer.running_var.lerp_((variances * (count / (count - 1))).to(layer.running_var), part)


class _Normalise(torch.autograd.Function):
    """batch_norm of x, (n, channels, height, width), by its own statistics, (channels,) float64, which come with it."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, epsilon: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What is normalised, the means, the variances."""
        images = x.detach().contiguous()
        factors = torch.ones(x.shape[1], dtype=x.dtype) if weight is None else weight.detach()
        shifts = torch.zeros(x.shape[1], dtype=x.dtype) if bias is None else bias.detach()
        outputs, (means, variances) = torch.empty_like(images), torch.empty(2, x.shape[1], dtype=torch.float64)
        kernels.normalise(
            images.flatten(2).numpy(), factors.numpy(), shifts.numpy(), epsilon, outputs.flatten(2).numpy(),
            means.numpy(), variances.numpy(),
        )  # fmt: skip
        ctx.save_for_backward(images, factors, means, variances)
        ctx.epsilon = epsilon
        ctx.mark_non_differentiable(means, variances)
        return outputs, means, variances

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slopes: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """By the inputs, as far as they are asked for."""
        images, factors, means, variances = ctx.saved_tensors
        by_images, by_weight, by_bias = torch.empty_like(images), torch.empty_like(factors), torch.empty_like(factors)
        kernels.normalise_back(
            images.flatten(2).numpy(), slopes.contiguous().flatten(2).numpy(), factors.numpy(), ctx.epsilon,
            means.numpy(), variances.numpy(), by_images.flatten(2).numpy(), by_weight.numpy(), by_bias.numpy(),
        )  # fmt: skip
        wanted = zip((by_images, by_weight, by_bias), ctx.needs_input_grad, strict=False)
        return *(gradient if asked else None for gradient, asked in wanted), None
