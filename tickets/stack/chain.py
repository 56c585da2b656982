"""Networks that are a chain: layers of weights one after the other, with ReLU, and max pooling, between them."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from tickets.stack.convolutions import Pair
from tickets.stack.hooks import is_hooked

Image = tuple[int, int, int]  # channels, height, width; a vector is channels of one pixel


@dataclass(frozen=True)
class Link:
    """A layer of weights, and what follows it before the next.

    weight, bias: names of parameters. inputs: what it reads. outputs: what comes of it, before pooling. kernel,
    padding: of a convolution; of a Linear layer, which reads everything at once, None. pool: the side of the squares
    that only the greatest passes of, 1 for none. relu: whether ReLU follows.
    """

    weight: str
    bias: str | None
    inputs: Image
    outputs: Image
    kernel: Pair | None = None
    padding: Pair = (0, 0)
    pool: int = 1
    relu: bool = False

    @property
    def pooled(self) -> Image:
        """What the next layer reads."""
        channels, high, wide = self.outputs
        return channels, high // self.pool, wide // self.pool

    @property
    def pixels(self) -> int:
        """How often a step uses each of its weights, for one example."""
        return self.outputs[1] * self.outputs[2]


def chain_of(module: nn.Module, input_shape: Sequence[int]) -> tuple[Link, ...] | None:
    """The links of an nn.Sequential that is a chain for inputs of this shape, or None.

    It may have Linear layers and two-dimensional convolutions (of stride 1, in one group, padded by less than the
    kernel's side with zeros), a ReLU after each but the last, which is Linear, max pooling after convolutions, by
    squares that leave nothing over, and Flatten. No layer may have hooks. Every parameter must be trained, be that of
    one link, and of no other; there may be no buffers.
    """
    if type(module) is not nn.Sequential or is_hooked(module):
        return None
    links: list[Link] = []
    image, flat = _image(input_shape), len(input_shape) == 1
    for name, layer in layers_of(module):
        if type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) == (1, -1):
            image = image if links else (math.prod(image), 1, 1)  # whose weights are in the order of the inputs
            flat = True
        elif type(layer) is nn.ReLU and links:
            links[-1] = replace(links[-1], relu=True)
        elif type(layer) is nn.MaxPool2d and links and not flat and links[-1].pool == 1 and _halves(layer, image):
            links[-1] = replace(links[-1], pool=_pair(layer.kernel_size)[0])
            image = links[-1].pooled
        elif (link := _link(name, layer, image, flat)) is not None and (not links or links[-1].relu):
            links.append(link)
            image = link.outputs
        else:
            return None
    ends = bool(links) and links[-1].kernel is None and not links[-1].relu
    names = {name for link in links for name in (link.weight, link.bias) if name is not None}
    return tuple(links) if ends and owns_all(module, names) else None


def layers_of(module: nn.Sequential) -> list[tuple[str, nn.Module]]:
    """The layers that the inputs go through, by name, in order; one that stands there twice is named twice.

    named_children() would leave out the second time.
    """
    return [(name, layer) for name, layer in module._modules.items() if layer is not None]


def owns_all(module: nn.Module, names: Set[str]) -> bool:
    """Whether a module has these parameters and no others, all of which are trained, and no buffers.

    A parameter that two layers share has one name.
    """
    found = dict(module.named_parameters())
    trained = all(parameter.requires_grad for parameter in found.values())
    return found.keys() == names and trained and next(module.buffers(), None) is None


def _link(name: str, layer: nn.Module, image: Image, flat: bool) -> Link | None:
    """A layer of weights that reads such an image, if a chain may have it."""
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
