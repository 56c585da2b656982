"""Networks that are a chain: layers of weights one after the other, with elementwise layers and pooling between."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from tickets.models.scale import Scale
from tickets.stack.convolutions import Pair
from tickets.stack.hooks import is_hooked

Image = tuple[int, int, int]  # channels, height, width; a vector is channels of one pixel

# Layers that change each number by itself.
ELEMENTWISE = (
    nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Softplus, nn.Tanh, nn.Sigmoid, nn.Identity, nn.Dropout,
)  # fmt: skip


@dataclass(frozen=True)
class Link:
    """A layer of weights, and what follows it before the next one.

    Parameters
    ----------
    weight, bias
        Names of parameters; bias is None for a layer without one.
    inputs
        Shape of what the layer reads.
    outputs
        Shape of what it computes, before pooling.
    kernel, padding
        Of a convolution; kernel is None for a Linear layer.
    pool
        Side of the squares of a max pooling; 1 for none.
    between
        The elementwise layers before the next layer of weights, in order; after the last one none but Scale. Not
        compared by ==.
    """

    weight: str
    bias: str | None
    inputs: Image
    outputs: Image
    kernel: Pair | None = None
    padding: Pair = (0, 0)
    pool: int = 1
    between: tuple[nn.Module, ...] = field(default=(), compare=False)

    @property
    def pooled(self) -> Image:
        """Shape of what the next layer reads."""
        channels, high, wide = self.outputs
        return channels, high // self.pool, wide // self.pool

    @property
    def pixels(self) -> int:
        """How often a step uses each of its weights, for one example."""
        return self.outputs[1] * self.outputs[2]


@dataclass(frozen=True)
class Chain:
    """The links of a network that is a chain, in order; the last one is a Linear layer.

    complete: whether every parameter of the network belongs to one link and is trained, and there are no buffers.
    """

    links: tuple[Link, ...]
    complete: bool

    @property
    def linear(self) -> bool:
        """Whether all links are Linear layers."""
        return all(link.kernel is None for link in self.links)

    @property
    def rectified(self) -> bool:
        """Whether each link but the last is followed by ReLU, and no link by another elementwise layer."""
        *hidden, last = self.links
        return not last.between and all(
            link.between and all(type(layer) is nn.ReLU for layer in link.between) for link in hidden
        )


def chain_of(module: nn.Module, input_shape: Sequence[int]) -> Chain | None:
    """The chain that a network is for inputs of this shape, or None.

    A chain is an nn.Sequential of Linear layers and two-dimensional convolutions (stride 1, one group, padded with
    zeros by less than the kernel's side), elementwise layers after any but the last, which is Linear and followed by
    Scale at most, one max pooling at most after a convolution, by squares that leave nothing over, and Flatten. No
    layer may have hooks, and no two layers a weight in common.
    """
    if type(module) is not nn.Sequential or is_hooked(module):
        return None
    links: list[Link] = []
    weights: set[int] = set()
    image, flat = _image(input_shape), len(input_shape) == 1
    for name, layer in _layers(module):
        if type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) == (1, -1):
            image = image if links else (math.prod(image), 1, 1)  # whose weights are in the order of the inputs
            flat = True
        elif (type(layer) in ELEMENTWISE or type(layer) is Scale) and links:
            links[-1] = replace(links[-1], between=(*links[-1].between, layer))
        elif type(layer) is nn.MaxPool2d and links and not flat and links[-1].pool == 1 and _halves(layer, image):
            links[-1] = replace(links[-1], pool=_pair(layer.kernel_size)[0])
            image = links[-1].pooled
        elif (link := _link(name, layer, image, flat)) is not None:
            links.append(link)
            weights.add(id(layer.weight))
            image = link.outputs
        else:
            return None
    ends = bool(links) and links[-1].kernel is None and all(type(layer) is Scale for layer in links[-1].between)
    return Chain(tuple(links), _is_complete(module, links)) if ends and len(weights) == len(links) else None


def _layers(module: nn.Sequential) -> list[tuple[str, nn.Module]]:
    """The layers that the inputs pass, by name, in order; a layer that is used twice is listed twice.

    named_children() would leave out the second time.
    """
    return [(name, layer) for name, layer in module._modules.items() if layer is not None]


def _is_complete(module: nn.Module, links: Sequence[Link]) -> bool:
    """See Chain. A parameter that two layers share has one name."""
    names = {name for link in links for name in (link.weight, link.bias) if name is not None}
    found = dict(module.named_parameters())
    trained = all(parameter.requires_grad for parameter in found.values())
    return found.keys() == names and trained and next(module.buffers(), None) is None


def _link(name: str, layer: nn.Module, image: Image, flat: bool) -> Link | None:
    """A layer of weights that reads an image of this shape, if a chain may have it."""
    bias = None if getattr(layer, "bias", None) is None else f"{name}.bias"
    if type(layer) is nn.Linear and flat and layer.in_features == math.prod(image):
        return Link(f"{name}.weight", bias, image, (layer.out_features, 1, 1))
    if type(layer) is not nn.Conv2d or flat or layer.in_channels != image[0] or isinstance(layer.padding, str):
        return None
    kernel, padding = _pair(layer.kernel_size), _pair(layer.padding)
    simple = (_pair(layer.stride), _pair(layer.dilation), layer.groups) == ((1, 1), (1, 1), 1)
    sides = [side + 2 * around - length + 1 for side, around, length in zip(image[1:], padding, kernel, strict=True)]
    within = all(around < length for around, length in zip(padding, kernel, strict=True))
    if not simple or layer.padding_mode != "zeros" or not within or min(sides) < 1:
        return None
    return Link(f"{name}.weight", bias, image, (layer.out_channels, sides[0], sides[1]), kernel, padding)


def _halves(layer: nn.MaxPool2d, image: Image) -> bool:
    """Whether max pooling takes one of each square of an image, all pixels being in one."""
    side, across = _pair(layer.kernel_size)
    plain = (_pair(layer.stride), _pair(layer.padding), _pair(layer.dilation)) == ((side, side), (0, 0), (1, 1))
    whole = all(length % side == 0 for length in image[1:])
    return plain and side == across and whole and not layer.ceil_mode and not layer.return_indices


def _pair(sizes: Any) -> Pair:
    """One number for both directions, or one for each."""
    down, across = (sizes, sizes) if isinstance(sizes, int) else sizes
    return down, across


def _image(shape: Sequence[int]) -> Image:
    if len(shape) != 3:
        return math.prod(shape), 1, 1
    channels, high, wide = shape
    return channels, high, wide
