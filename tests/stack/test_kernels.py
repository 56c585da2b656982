"""What the kernels compute, piece by piece."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from tickets.stack.chain import Link
from tickets.stack.kernels import SEVERAL, VECTOR_BYTES, lay_out
from tickets.stack.kernels.edges import add_edges, dot_edges, sum_rows
from tickets.stack.kernels.exponential import exp
from tickets.stack.kernels.loops import copier
from tickets.stack.rows import lay_out_chain
from tickets.stack.wiring import wire

FLOATS = VECTOR_BYTES // 4  # single-precision numbers in a vector


@njit
def exp_of(x, y):
    for i in range(len(x)):
        y[i] = exp(x[i])


def test_exp_is_right_to_a_unit_of_the_last_place() -> None:
    x = -np.concatenate([np.linspace(0, 87, 300_001), np.logspace(-40, 1.9, 100_001)]).astype(np.float32)
    found = np.empty_like(x)
    exp_of(x, found)
    exact = np.exp(x.astype(np.float64))
    assert (np.abs(found - exact) / np.spacing(exact.astype(np.float32))).max() < 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_at_the_ends(dtype) -> None:
    x = np.array([0, -0.0, -1e30, -np.inf, np.nan], dtype)
    found = np.empty_like(x)
    exp_of(x, found)
    np.testing.assert_array_equal(found, np.array([1, 1, 0, 0, np.nan], dtype))


copy = copier()


@njit
def copied(rows, first, into, at, count):
    copy(rows, first, into, at, count)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [*range(35), 64, 100])
def test_so_many_numbers_are_copied_and_no_others(dtype, count: int) -> None:
    rows, into = np.arange(1, 121, dtype=dtype), np.zeros(130, dtype)
    copied(rows, 7, into, 3, count)
    assert into[3 : 3 + count].tolist() == rows[7 : 7 + count].tolist()
    assert not into[:3].any()
    assert not into[3 + count :].any()


@pytest.mark.parametrize("pixels", range(24))
def test_sums_over_edges(pixels: int) -> None:
    """pixels: of a line, whose rows go on in the next; 0 for a tile, of each number of vectors."""
    for vectors in [pixels] if pixels else range(1, SEVERAL + 1):
        rng = np.random.default_rng(vectors)
        masks = [np.ones((5, 9), bool)]
        masks[0][2, 5] = masks[0][3, 3] = False  # as many as each other, from the same first and last, yet not the same
        edges = wire(masks, lay_out_chain([Link("", None, (9, 1, 1), (5, 1, 1))]).columns).forward
        columns = FLOATS if pixels else vectors * FLOATS
        rows = rng.standard_normal((9 + pixels, columns)).astype(np.float32)
        read = np.stack([rows[row : row + max(1, pixels)].ravel() for row in range(9)])
        shape = (5, pixels + 2, columns) if pixels else (5, columns)  # there is room between the units of a line
        used = read.shape[1]
        weights = rng.standard_normal(len(edges.source)).astype(np.float32)
        dense = np.zeros((5, 9), np.float32)
        dense[masks[0]] = weights
        together, alone = np.ones((2, *shape), np.float32)
        segments = len(edges.unit)
        add_edges(edges, 0, segments, weights, rows, together, vectors)
        for segment in range(segments):
            add_edges(edges, segment, segment + 1, weights, rows, alone, vectors)
        np.testing.assert_array_equal(together, alone)
        found = together.reshape(5, -1)
        np.testing.assert_allclose(found[:, :used], 1 + dense @ read, rtol=1e-5, atol=1e-5)
        assert (found[:, used:] == 1).all()

        slopes = rng.standard_normal(shape).astype(np.float32)
        products, sums = np.full_like(weights, np.nan), np.full(5, np.nan, np.float32)
        summed = np.array([True, True, False, True, True])
        by_unit = slopes.reshape(5, -1)[:, :used]
        for times in (1, 2):
            dot_edges(edges, 0, segments, slopes, rows, products, vectors, times > 1)
            sum_rows(slopes, summed, sums, vectors, times > 1)
            np.testing.assert_allclose(products, times * (by_unit @ read.T)[masks[0]], rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(sums, times * by_unit.sum(1) * summed, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("inputs", "batch", "run"), [(1, 1, 1), (40, 100, 40), (70, 64, 70), (70, 64, 35), (3, 67, 1), (130, 33, 130)]
)
def test_batches_are_laid_out_tile_by_tile(dtype, inputs: int, batch: int, run: int) -> None:
    examples = np.random.default_rng(1).standard_normal((50, inputs)).astype(dtype)
    places = np.random.default_rng(2).integers(50, size=(3, batch))
    lanes = VECTOR_BYTES // examples.itemsize
    columns = -(-batch // lanes) * lanes
    tiles = np.full((3, inputs * columns), np.nan, dtype)
    lay_out(examples, places, inputs, np.arange(inputs), run, SEVERAL * lanes, tiles)
    for step in range(3):
        batch_columns = np.zeros((inputs, columns), dtype)
        batch_columns[:, :batch] = examples[places[step]].T
        parts = np.split(batch_columns, range(SEVERAL * lanes, columns, SEVERAL * lanes), axis=1)
        np.testing.assert_array_equal(tiles[step], np.concatenate([part.ravel() for part in parts]))


def test_around_images_there_are_zeros() -> None:
    tiles = np.full((1, 7 * FLOATS), np.nan, np.float32)
    lay_out(np.array([[5, 6]], np.float32), np.zeros((1, 2), np.int64), 7, np.array([4, 1]), 1, FLOATS, tiles)
    found = tiles.reshape(7, FLOATS)
    assert found[4].tolist() == [5, 5, *[0] * (FLOATS - 2)]
    assert found[1].tolist() == [6, 6, *[0] * (FLOATS - 2)]
    assert not found[[0, 2, 3, 5, 6]].any()
