"""Where a convolution's numbers are in a kernel's memory: planes, so that an edge is one multiplication of a plane.

A plane has the pixels of one channel of some examples, line by line and example by example, with gaps of zeros between
lines and between examples, as wide as the convolution reads beyond them. What it reads for the next pixel is then one
number on, of whichever line and example, and what comes out at the gaps is nobody's. A convolution with a stride reads
a channel as several planes, one for each phase: the pixels that lie whole strides apart.
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

GROUP_BYTES = 2**19  # of planes that are worked on at a time: they stay in the second cache
LINE = 128  # numbers that kernels take at once, so that they read and write beyond a plane's end


@dataclass(frozen=True, eq=False)
class Planes:
    """The planes of a convolution of images of one size.

    image, outputs: their sides. phases: (phases, 2), which pixel down and across each phase begins with. line: from a
    line to the next; plane: from an example to the next; examples: that planes have at most. margin: numbers before the
    first; size: of a plane, in all. source: of each column of the weights, (units, columns), where it reads for the
    first pixel. target: of each column, the plane that it reads. shift: where, in its unit's plane, the slope is that
    goes back to that plane's first pixel.
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
        """Planes of what is read."""
        return self.channels * len(self.phases)

    @property
    def numbers(self) -> int:
        """In all room that a convolution needs: for what is read, for slopes, and for what comes out or goes back."""
        return (self.read + self.units + max(self.read, self.units)) * self.size


@functools.cache
def lay_out_planes(convolution: Convolution, image: Pair, itemsize: int) -> Planes:
    """The planes for images of so many pixels, of numbers of so many bytes."""
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
    """In one direction: of each place of the kernel the phase that it reads, and how far on; from a line to the next.

    At a line's end, both what is read beyond it and the slopes that are read beyond it must be gaps.
    """
    reach, phase = zip(*(divmod(place - around, step) for place in range(length)), strict=True)
    longest = max(math.ceil((side - first) / step) for first in phase)
    return phase, reach, max(longest - min(0, *reach), outputs + max(0, *reach))
