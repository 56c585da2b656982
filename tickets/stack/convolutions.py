"""The convolutions of a model that can be computed by their surviving weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

Pair = tuple[int, int]  # down, across


@dataclass(frozen=True)
class Convolution:
    """A two-dimensional convolution with zeros around the image, without dilation, in one group."""

    channels: int
    units: int
    kernel: Pair
    stride: Pair
    padding: Pair

    def outputs(self, image: Pair) -> Pair:
        """Pixels that come out of an image of so many."""
        down, across = (
            (side + 2 * around - length) // step + 1
            for side, around, length, step in zip(image, self.padding, self.kernel, self.stride, strict=True)
        )
        return down, across


@dataclass(frozen=True)
class ConvolutionUse:
    """One use of a convolution in a forward pass; image: height and width of what it reads."""

    convolution: Convolution
    image: Pair

    @property
    def pixels(self) -> int:
        """How often each of its weights is used, for one example."""
        return math.prod(self.convolution.outputs(self.image))


def plain_convolutions(module: nn.Module) -> Iterator[tuple[str, nn.Conv2d]]:
    """The layers that can be computed by surviving weights, by name: plain ones with weights of their own."""
    owners: dict[int, int] = {}
    for layer in module.modules():
        for parameter in layer.parameters(recurse=False):
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    for name, layer in module.named_modules():
        if type(layer) is nn.Conv2d and "weight" in layer._parameters and owners[id(layer.weight)] == 1:
            as_its_class = "forward" not in vars(layer)
            zeros = layer.padding_mode == "zeros" and not isinstance(layer.padding, str) and as_its_class
            if zeros and pair(layer.dilation) == (1, 1) and layer.groups == 1:
                yield name, layer


def convolution_of(layer: nn.Conv2d) -> Convolution:
    """What a layer computes."""
    assert not isinstance(layer.padding, str)
    return Convolution(
        layer.in_channels,
        layer.out_channels,
        pair(layer.kernel_size),
        pair(layer.stride),
        pair(layer.padding),
    )


def pair(sizes: Sequence[int]) -> Pair:
    """Two sizes, of a sequence."""
    down, across = sizes
    return down, across
