"""Convolution by the surviving weights, forward and backward, of images in PyTorch's layout (see stack/planes.py)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tickets.stack.kernels.compiled import VECTOR_BYTES, compiled
from tickets.stack.kernels.edges import add_edges, dot_edges
from tickets.stack.kernels.loops import copier
from tickets.stack.kernels.vectors import MANY

_copy = copier()


class Geometry(NamedTuple):
    """The fields of stack.planes.Planes that kernels use. whole: (1, 2), the only phase of images without a stride."""

    phases: Any
    whole: Any
    stride: tuple[int, int]
    line: int
    plane: int
    examples: int
    margin: int
    size: int


@compiled
def _move(images, begin, end, at, phases, stride, planes, back):
    """Copy images `begin` to `end - 1` of (n, channels, height, width) into planes, phase by phase.

    back: copy from the planes into the images instead.
    """
    _, channels, high, wide = images.shape
    pixels = images.reshape(images.size)
    for phase in range(len(phases)):
        down, across = phases[phase]
        lines = (high - down + stride[0] - 1) // stride[0]
        for channel in range(channels):
            plane = (channel * len(phases) + phase) * at.size + at.margin
            for n in range(begin, end):
                first = ((n * channels + channel) * high + down) * wide + across
                _move_lines(
                    pixels, first, lines, stride[0] * wide, (wide - across + stride[1] - 1) // stride[1], stride[1],
                    planes, plane + (n - begin) * at.plane, at.line, back,
                )  # fmt: skip


@compiled
def _move_lines(pixels, first, lines, apart, count, step, planes, at, line, back):
    """Copy lines of `count` pixels; lines are `apart` apart in the images and `line` in the planes.

    step: take every `step`-th pixel; 1 and 2 are vectorised. back: copy from the planes instead.
    """
    for y in range(lines):
        source, target = first + y * apart, at + y * line
        if step == 1 and back:
            _copy(planes, target, pixels, source, count)
        elif step == 1:
            _copy(pixels, source, planes, target, count)
        else:
            read, into = pixels[source : source + (count - 1) * step + 1], planes[target : target + count]
            if back:
                for z in range(count):
                    read[z * step] = into[z]
            elif step == 2:
                for z in range(count):
                    into[z] = read[np.uint64(2 * z)]  # unsigned, so that Numba adds no check for negative indices
            else:
                for z in range(count):
                    into[z] = read[z * step]


@compiled
def _fill(planes, first, count, number):
    """Write `number` to `count` places of a plane from `first` on."""
    part = planes[first : first + count]
    for k in range(count):
        part[k] = number


@compiled
def convolve(images, at, edges, weights, biases, given, room, outputs):
    """Write the convolution of images, (n, channels, height, width), into outputs, (n, units, height, width).

    at: a Geometry. edges: forward; a unit is given by the start of its plane. given: workspace for the input planes,
    with zeros between lines and examples. room: workspace for the output planes.
    """
    lanes = VECTOR_BYTES // weights.itemsize
    for begin in range(0, len(images), at.examples):
        end = min(begin + at.examples, len(images))
        _move(images, begin, end, at, at.phases, at.stride, given, False)
        numbers = (end - begin) * at.plane
        for t in range(0, numbers, MANY * lanes):
            vectors = min(MANY, (numbers - t + lanes - 1) // lanes)
            for unit in range(len(biases)):
                _fill(room, unit * at.size + at.margin + t, vectors * lanes, biases[unit])
            rows, into = given[t:], room[at.margin + t :]
            add_edges(
                edges, 0, len(edges.unit), weights, rows.reshape(len(rows), 1), into.reshape(len(into), 1, 1), vectors
            )  # fmt: skip
        _move(outputs, begin, end, at, at.whole, (1, 1), room, True)


@compiled
def convolve_back(
    images, slopes, at, forward, backward, weights, given, given_slopes, room, gradients, image_slopes
):  # fmt: skip
    """Write the gradients of a convolution's weights and, unless image_slopes is (0, ...), of its images.

    slopes: gradients by the outputs, (n, units, height, width). backward: the edges that carry gradients back;
    weights: of these edges. given, given_slopes: workspace for the planes of inputs and slopes, with zeros between
    lines and examples. room: workspace for the planes of image_slopes. gradients: (edges,).
    """
    lanes, planes, zero = VECTOR_BYTES // weights.itemsize, len(at.phases) * images.shape[1], room.dtype.type(0)
    for begin in range(0, len(images), at.examples):
        end = min(begin + at.examples, len(images))
        _move(images, begin, end, at, at.phases, at.stride, given, False)
        _move(slopes, begin, end, at, at.whole, (1, 1), given_slopes, False)
        numbers = (end - begin) * at.plane
        # Clear what a larger group left after these examples: it is read in the last vector and in the margins.
        for unit in range(slopes.shape[1]):
            _fill(given_slopes, unit * at.size + at.margin + numbers, lanes, zero)
        for first in range(at.margin + numbers, planes * at.size, at.size):
            _fill(given, first, at.margin, zero)
        for t in range(0, numbers, MANY * lanes):
            vectors = min(MANY, (numbers - t + lanes - 1) // lanes)
            there, rows = given_slopes[at.margin + t :], given[t:]
            dot_edges(
                forward, 0, len(forward.unit), there.reshape(len(there), 1, 1), rows.reshape(len(rows), 1), gradients,
                vectors, begin + t > 0,
            )  # fmt: skip
            if len(image_slopes) == 0:
                continue
            for first in range(at.margin + t, planes * at.size, at.size):
                _fill(room, first, vectors * lanes, zero)
            rows, into = given_slopes[t:], room[at.margin + t :]
            add_edges(
                backward, 0, len(backward.unit), weights, rows.reshape(len(rows), 1), into.reshape(len(into), 1, 1),
                vectors,
            )  # fmt: skip
        if len(image_slopes) > 0:
            _move(image_slopes, begin, end, at, at.phases, at.stride, room, True)
