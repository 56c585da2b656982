"""Networks that are a chain: layers of weights one after the other, with ReLU, and max pooling, between them.

That is all that training by the surviving weights knows. Here stands what each layer reads and writes, in a kernel's
memory too: a row a unit and pixel; the pixels of a line of one unit lie together, so that a line is read in one go,
then the same line of the next unit, then the next line. The layers that read images are one part of it, the Linear
layers after them another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import nn

Ints = npt.NDArray[np.int64]
Image = tuple[int, int, int]  # channels, height, width; a vector is channels of one pixel
Pair = tuple[int, int]  # down, across


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
    squares that leave nothing over, and Flatten. No layer may have hooks or share parameters.
    """
    hooked = any(layer._forward_hooks or layer._forward_pre_hooks for layer in module.modules())
    owned = [parameter for layer in module.children() for parameter in layer.parameters()]
    if type(module) is not nn.Sequential or hooked or len({id(parameter) for parameter in owned}) != len(owned):
        return None
    links: list[Link] = []
    image, flat = _image(input_shape), len(input_shape) == 1
    for name, layer in module.named_children():
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
    return tuple(links) if ends else None


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


# Where a layer's rows are, for the kernels. Of all layers' units, its `units` begin at `unit`. It computes `high` lines
# of `wide` pixels; for one it reads as many lines `above` and `below` as these say, of `down` lines of `across` pixels,
# of `rows` units each. What it reads for the first line begins at `source` and what it writes at `result`, for the next
# unit *_unit rows on, for the next line *_line. `pool` is a Link's; if it is not 1, so many lines are kept, in a place
# of their own. What passes is at `passed` in the same way, and which of the pixels it was at `chosen`, one line of all
# units' pixels after the other. The gradients by what the layer writes are at `slope` of the slopes, with zeros around
# them as far as its kernel reaches, which begin at `around`.
PLACES = ("source", "result", "passed", "slope")
FIELDS = ("unit", "units", "high", "wide", "pool", "chosen", "above", "below", "around", "down", "across", "rows")
STRIDES = [f"{place}{step}" for place in PLACES for step in ("", "_line", "_unit")]
Frame = np.dtype([(name, np.int64) for name in (*FIELDS, *STRIDES)], align=True)


@dataclass(frozen=True)
class Columns:
    """Where each column of a layer's weights, (units, columns), comes from; in rows.

    unit: of the layer before, or of the input. source: from where the layer reads a line. target: of the gradients that
    go back to a line, from where they begin; there are `targets` of them. shift: from where it reads slopes for a line,
    to those of its first unit; the next unit's are `stride` on.
    """

    unit: Ints
    source: Ints
    target: Ints
    shift: Ints
    targets: int
    stride: int = 1


@dataclass(frozen=True)
class Layout:
    """A chain in a kernel's memory.

    frame: (layers,) of Frame; the first `images` layers read images. columns: of each layer. given: the row of each
    number of an example; given_rows: of an example with the zeros around it. Of the room to work in, for the layers
    that read images: image_rows are for what passes, chosen_rows for which of the pixels it was, line_rows for the
    lines that are pooled, image_slope_rows, and back_rows for a line that goes back before it is known where to. For
    Linear layers: flat_rows for what the first reads, if that is not the example; output_rows for what they write, and
    as many for their slopes. image_border, slope_border: the rows around images, which are zeros.
    """

    frame: npt.NDArray[Any]
    images: int
    columns: tuple[Columns, ...]
    given: Ints
    given_rows: int
    image_rows: int
    chosen_rows: int
    line_rows: int
    image_slope_rows: int
    back_rows: int
    flat_rows: int
    output_rows: int
    image_border: Ints
    slope_border: Ints


@dataclass(frozen=True)
class _Rows:
    """An image's rows, from `first` on, with zeros around it."""

    image: Image
    padding: Pair = (0, 0)
    first: int = 0

    @property
    def unit(self) -> int:
        return self.image[2] + 2 * self.padding[1]

    @property
    def line(self) -> int:
        return self.image[0] * self.unit

    @property
    def end(self) -> int:
        """With so many zeros at the end that a line's rows can be counted from its first pixel on."""
        return self.first + (self.image[1] + 2 * self.padding[0]) * self.line + self.padding[1]

    @property
    def inner(self) -> int:
        """The first row of the image itself."""
        return self.first + self.padding[0] * self.line + self.padding[1]

    @property
    def places(self) -> Ints:
        """The rows of the image itself, as (channels, height, width)."""
        channels, high, wide = (np.arange(size) for size in self.image)
        return (self.inner + channels[:, None, None] * self.unit + high[:, None] * self.line + wide).astype(np.int64)


def lay_out_chain(links: Sequence[Link]) -> Layout:
    """Where everything of a chain goes."""
    images, flat = ([link for link in links if (link.kernel is not None) == one] for one in (True, False))
    given, read = _Rows(links[0].inputs, links[0].padding), _Rows((math.prod(flat[0].inputs), 1, 1))
    in_images, in_flat = _places(images), _places(flat)
    sources = [*([given, *in_images.passed[:-1], read] if images else [given]), *in_flat.passed[:-1]]
    results, passed, slopes = (one + other for one, other in zip(in_images, in_flat, strict=True))
    squares = [math.prod(link.pooled) if link.pool > 1 else 0 for link in links]
    frame = np.zeros(len(links), Frame)
    frame["unit"] = np.cumsum([0, *(link.outputs[0] for link in links[:-1])])
    frame["units"], frame["high"], frame["wide"] = np.transpose([link.outputs for link in links])
    frame["rows"], frame["down"], frame["across"] = np.transpose(
        [link.inputs if link.kernel else (math.prod(link.inputs), 1, 1) for link in links]
    )
    frame["pool"] = [link.pool for link in links]
    frame["chosen"] = np.cumsum([0, *squares[:-1]])
    frame["above"] = [link.padding[0] for link in links]
    frame["below"] = [_reach(link)[0] for link in links]
    frame["around"] = [rows.first for rows in slopes]
    for place, images_there in zip(PLACES, (sources, results, passed, slopes), strict=True):
        frame[place] = [rows.first if place == "source" else rows.inner for rows in images_there]
        frame[f"{place}_line"] = [rows.line for rows in images_there]
        frame[f"{place}_unit"] = [rows.unit for rows in images_there]
    return Layout(
        frame=frame,
        images=len(images),
        columns=tuple(_columns(*each) for each in zip(links, sources, slopes, strict=True)),
        given=given.places.ravel(),
        given_rows=given.end,
        image_rows=_end(in_images.passed),
        chosen_rows=sum(squares),
        line_rows=_end([rows for rows, link in zip(in_images.results, images, strict=True) if link.pool > 1]),
        image_slope_rows=_end(in_images.slopes),
        back_rows=max((link.pooled[0] * link.pooled[2] for link in images), default=0),
        flat_rows=read.end if images else 0,
        output_rows=_end(in_flat.passed),
        image_border=_around(in_images.passed),
        slope_border=_around(in_images.slopes),
    )


class _Places(NamedTuple):
    """What links that lie in the same memory write, what of it passes on to the next, and their slopes."""

    results: list[_Rows]
    passed: list[_Rows]
    slopes: list[_Rows]


def _places(links: Sequence[Link]) -> _Places:
    places, pooled = _Places([], [], []), list[_Rows]()
    for link, after in zip(links, [*links[1:], None], strict=False):
        passes = _Rows(link.pooled, (0, 0) if after is None else after.padding, _end(places.passed))
        if link.pool > 1:
            pooled.append(_Rows((link.outputs[0], link.pool, link.outputs[2]), (0, 0), _end(pooled)))
        places.results.append(passes if link.pool == 1 else pooled[-1])
        places.passed.append(passes)
        places.slopes.append(_Rows(link.outputs, _reach(link), _end(places.slopes)))
    return places


def _end(images: Sequence[_Rows]) -> int:
    return images[-1].end if images else 0


def _around(images: Sequence[_Rows]) -> Ints:
    """All rows but the images' own."""
    if not images:
        return np.zeros(0, np.int64)
    return np.setdiff1d(np.arange(images[-1].end), np.concatenate([rows.places.ravel() for rows in images]))


def _reach(link: Link) -> Pair:
    """How far around its slopes a layer reads when they go back: as a convolution with the kernel turned round."""
    if link.kernel is None:
        return 0, 0
    return link.kernel[0] - 1 - link.padding[0], link.kernel[1] - 1 - link.padding[1]


def _columns(link: Link, source: _Rows, slope: _Rows) -> Columns:
    if link.kernel is None:
        rows = np.arange(math.prod(link.inputs))
        return Columns(rows // math.prod(link.inputs[1:]), rows, rows, np.zeros_like(rows), len(rows))
    channel, down, across = np.indices((link.inputs[0], *link.kernel)).reshape(3, -1)
    back_down, back_across = link.kernel[0] - 1 - down, link.kernel[1] - 1 - across
    return Columns(
        unit=channel,
        source=channel * source.unit + down * source.line + across,
        target=channel,
        shift=back_down * slope.line + back_across,
        targets=link.inputs[0],
        stride=slope.unit,
    )
