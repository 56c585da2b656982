"""The memory layout of a convolution by surviving weights: planes, so that each weight multiplies a whole plane.

A plane holds one channel of a group of examples, line after line and example after example. Between lines and between
examples it has zeros, as many as the convolution reads past the edge of an image. The input of the next output pixel
is then always one number further on, across lines and examples, and the outputs computed at the zeros are discarded. A
convolution with a stride reads a channel as several planes, one for each phase: the pixels whole strides apart.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickets.stack.convolutions import Convolution, Pair

Ints = npt.NDArray[np.int64]

GROUP_BYTES = 2**19  # of planes that are processed together: they fit in the L2 cache
LINE = 128  # numbers that a kernel processes at once; it may read and write past the end of a plane


@dataclass(frozen=True, eq=False)
class Planes:
    """The planes of a convolution for images of one size. Positions and sizes are in numbers.

    A column is a column of the weights as a matrix (units, channels x kernel).

    Attributes
    ----------
    image, outputs
        Height and width of the input and output images.
    stride
        Of the convolution, vertical and horizontal.
    phases
        (phases, 2): the first pixel of each phase, vertical and horizontal.
    line
        Distance from one line to the next.
    plane
        Distance from one example to the next.
    examples
        The largest number of examples in a plane.
    margin
        Numbers before the first pixel.
    size
        Length of a plane, margins included.
    source
        (columns,): where each column reads for the first output pixel.
    target
        (columns,): the plane that each column reads.
    shift
        (columns,): the position in a unit's plane of the gradient that flows to the first pixel of the column's plane.
    channels, units
        Input and output channels.
    """

    image: Pair
    outputs: Pair
    stride: Pair
    phases: Ints
    line: int
    plane: int
    examples: int
    margin: int
    size: int
    source: Ints
    target: Ints
    shift: Ints
    channels: int
    units: int

    @property
    def read(self) -> int:
        """The number of input planes."""
        return self.channels * len(self.phases)

    @property
    def numbers(self) -> int:
        """Numbers of workspace: for inputs, for gradients of outputs, and for outputs or gradients of inputs."""
        return (self.read + self.units + max(self.read, self.units)) * self.size


@functools.cache
def lay_out_planes(convolution: Convolution, image: Pair, itemsize: int) -> Planes:
    """The planes for images of a given height and width; itemsize: bytes of a number."""
    outputs = convolution.outputs(image)
    ways = [
        _along(*sizes)
        for sizes in zip(image, outputs, convolution.kernel, convolution.stride, convolution.padding, strict=True)
    ]
    (first_down, down), (first_across, across) = ((phase, reach) for phase, reach, _ in ways)
    line, plane = ways[1][2], ways[0][2] * ways[1][2]
    phases = [*itertools.product(sorted(set(first_down)), sorted(set(first_across)))]
    number = {phase: index for index, phase in enumerate(phases)}
    offset = [down[y] * line + across[x] for y, x in np.ndindex(convolution.kernel)]
    phase = [number[first_down[y], first_across[x]] for y, x in np.ndindex(convolution.kernel)]
    margin = -(-max(map(abs, offset)) // LINE) * LINE + LINE
    planes = convolution.channels * len(phases) + convolution.units
    examples = max(1, GROUP_BYTES // (planes * plane * itemsize))
    size = 2 * margin + -(-examples * plane // LINE) * LINE
    target = np.add.outer(np.arange(convolution.channels) * len(phases), phase).ravel()
    offsets = np.tile(offset, convolution.channels)
    return Planes(
        image=image,
        outputs=outputs,
        stride=convolution.stride,
        phases=np.array(phases, np.int64),
        line=line,
        plane=plane,
        examples=examples,
        margin=margin,
        size=size,
        source=target * size + margin + offsets,
        target=target,
        shift=margin - offsets,
        channels=convolution.channels,
        units=convolution.units,
    )


def _along(side: int, outputs: int, length: int, step: int, around: int) -> tuple[Sequence[int], Sequence[int], int]:
    """In one direction: the phase that each kernel position reads, its offset there, and the padded length of a line.

    Past the end of a line, both the inputs and the gradients that are read must be zeros.
    """
    reach, phase = zip(*(divmod(place - around, step) for place in range(length)), strict=True)
    longest = max(math.ceil((side - first) / step) for first in phase)
    return phase, reach, max(longest - min(0, *reach), outputs + max(0, *reach))
