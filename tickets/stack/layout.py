"""Where everything of a chain is in a kernel's memory.

A row a unit and pixel; the pixels of a line of one unit lie together, so that a line is read in one go, then the same
line of the next unit, then the next line. The layers that read images are one part of it, the Linear layers after them
another.
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
    number of an example, of which `given_run` at a time lie in rows one after the other; given_rows: of an example with
    the zeros around it. Of the room to work in, for the layers
    that read images: image_rows are for what passes, chosen_rows for which of the pixels it was, line_rows for the
    lines that are pooled, image_slope_rows, and back_rows for a line that goes back before it is known where to. For
    Linear layers: flat_rows for what the first reads, if that is not the example; output_rows for what they write, and
    as many for their slopes. image_border, slope_border: the rows around images, which are zeros.
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


def _run(rows: Ints) -> int:
    """The largest number by which rows can be taken so that as many at a time lie one after the other."""
    return int(np.gcd.reduce([*np.flatnonzero(np.diff(rows) != 1) + 1, len(rows)]))


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
