"""The memory layout of a chain for the kernels.

There is one row for each unit and pixel. The pixels of one line of one unit are adjacent, followed by the same line of
the next unit, and then by the next line. Layers that read images and the Linear layers after them have separate memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tickets.stack.chain import Image, Link
from tickets.stack.convolutions import Pair

Ints = npt.NDArray[np.int64]

# The places of a layer's rows.
# unit, units: the first of its units among those of all layers, and their number.
# high, wide: lines and pixels of its output image. down, across, rows: lines, pixels and units of its input image.
# above, below: lines of input that one line of output reads before and after its own.
# source, result: the first row of its input and of its output; *_unit and *_line: distance to the next unit and line.
# pool: as in Link; if not 1, the latest `pool` lines of output are stored in separate memory.
# passed: the first row after pooling. chosen: the first row of the positions of the maxima, line by line.
# slope: the first row of the gradients by the output; around: the first of the zeros around them.
PLACES = ("source", "result", "passed", "slope")
FIELDS = ("unit", "units", "high", "wide", "pool", "chosen", "above", "below", "around", "down", "across", "rows")
STRIDES = [f"{place}{step}" for place in PLACES for step in ("", "_line", "_unit")]
Frame = np.dtype([(name, np.int64) for name in (*FIELDS, *STRIDES)], align=True)


@dataclass(frozen=True)
class Columns:
    """The rows that belong to each column of a layer's weights, (units, columns).

    Attributes
    ----------
    unit
        The unit of the previous layer, or of the input, that the column reads.
    source
        The row that the column reads, relative to the start of a line.
    target
        The row of the gradient by the input that the column adds to, relative to the start of a line.
    shift
        The row of the first unit's slopes that flow back to that row, relative to the start of a line.
    targets
        The number of rows of the gradient by the input.
    stride
        The distance from one unit's slopes to the next unit's.
    """

    unit: Ints
    source: Ints
    target: Ints
    shift: Ints
    targets: int
    stride: int = 1


@dataclass(frozen=True)
class RowLayout:
    """The memory layout of a chain. Sizes are in rows.

    Attributes
    ----------
    frame
        (layers,) of Frame.
    images
        The number of layers that read images; they come first.
    columns
        One for each layer.
    given
        The row of each number of an example.
    given_run
        The number of consecutive inputs that occupy consecutive rows.
    given_rows
        An example with the zeros around it.
    image_rows, chosen_rows, line_rows
        Workspace of layers that read images: outputs, positions of maxima, lines before pooling.
    image_slope_rows, back_rows
        Their slopes, and one line of gradients before it is distributed by the backward pass of pooling.
    flat_rows
        The input of the first Linear layer, if it is not the example.
    output_rows
        The outputs of the Linear layers; as many rows hold their slopes.
    image_border, slope_border
        The rows of zeros around images and around slopes.
    """

    frame: npt.NDArray[Any]
    images: int
    columns: tuple[Columns, ...]
    given: Ints
    given_run: int
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
    """The rows of an image with zeros around it, from `first` on."""

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
        """The row after the image, with enough zeros at the end to read a whole line from its first pixel on."""
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


def lay_out_chain(links: Sequence[Link]) -> RowLayout:
    """The memory layout of a chain."""
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
    return RowLayout(
        frame=frame,
        images=len(images),
        columns=tuple(_columns(*each) for each in zip(links, sources, slopes, strict=True)),
        given=given.places.ravel(),
        given_run=_run(given.places.ravel()),
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
    """The outputs of links in the same memory, what remains after pooling, and their slopes."""

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


def _run(rows: Ints) -> int:
    """The largest block size for which the rows of each block are contiguous."""
    return int(np.gcd.reduce([*np.flatnonzero(np.diff(rows) != 1) + 1, len(rows)]))


def _around(images: Sequence[_Rows]) -> Ints:
    """All rows that belong to no image."""
    if not images:
        return np.zeros(0, np.int64)
    return np.setdiff1d(np.arange(images[-1].end), np.concatenate([rows.places.ravel() for rows in images]))


def _reach(link: Link) -> Pair:
    """How far beyond its slopes a layer's backward pass reads: a convolution with the rotated kernel."""
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
