"""Where a chain's rows are."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from tickets.stack.chain import Link
from tickets.stack.rows import lay_out_chain


@given(
    channels=st.integers(1, 3),
    units=st.integers(1, 3),
    sides=st.tuples(st.integers(2, 6), st.integers(2, 6)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    data=st.data(),
)
def test_rows_are_where_a_convolution_reads(channels, units, sides, kernel, data) -> None:
    """By matrices: each pixel's outputs, and the gradients of what it reads, from rows alone."""
    padding = tuple(data.draw(st.integers(0, length - 1)) for length in kernel)
    high, wide = (side + 2 * around - length + 1 for side, around, length in zip(sides, padding, kernel, strict=True))
    if min(high, wide) < 1:
        return
    link = Link("", None, (channels, *sides), (units, high, wide), kernel, padding)
    layout = lay_out_chain([link, Link("", None, (units, high, wide), (2, 1, 1))])
    at, columns = layout.frame[0], layout.columns[0]
    image, slope = torch.randn(1, channels, *sides), torch.randn(1, units, high, wide)
    weight = torch.randn(units, channels, *kernel)
    flat = weight.flatten(1).numpy()

    given = np.zeros(layout.given_rows, np.float32)
    given[layout.given] = image.flatten().numpy()
    expected = functional.conv2d(image, weight, padding=padding)[0].numpy()
    for y, z in np.ndindex(high, wide):
        read = given[at["source"] + y * at["source_line"] + z :][columns.source]
        np.testing.assert_allclose(flat @ read, expected[:, y, z], rtol=1e-4, atol=1e-4)

    slopes = np.zeros(layout.image_slope_rows, np.float32)
    for unit, y, z in np.ndindex(units, high, wide):
        slopes[at["slope"] + y * at["slope_line"] + unit * at["slope_unit"] + z] = slope[0, unit, y, z]
    assert not slopes[layout.slope_border].any()
    assert len(layout.slope_border) + math.prod(link.outputs) == layout.image_slope_rows
    back = torch.nn.grad.conv2d_input(image.shape, weight, slope, padding=padding)[0].numpy()
    for y, z in np.ndindex(*sides):
        around = slopes[at["around"] + y * at["slope_line"] + z :]
        found = np.zeros(columns.targets, np.float32)
        for unit in range(units):
            np.add.at(found, columns.target, flat[unit] * around[columns.shift + unit * columns.stride])
        np.testing.assert_allclose(found, back[:, y, z], rtol=1e-4, atol=1e-4)
