"""The initialisation by the discrete cosine transform, against scipy and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.fft
import torch
from torch import nn

from tickets.frames import dct
from tickets.initial import glorot_deviation, initial_values


def test_dct_of_a_tiny_tensor() -> None:
    # 2 rows, 3 columns: n = 3 and d**2 = 2/5, so row k is sqrt(4/5) * cos(pi * k * (j + 1/2) / 3) for k = 1, 2.
    wanted = math.sqrt(0.8) * torch.tensor([[math.sqrt(0.75), 0.0, -math.sqrt(0.75)], [0.5, -1.0, 0.5]])
    assert torch.allclose(initial_values(lambda: nn.Linear(3, 2), "dct", 0)["weight"], wanted, atol=1e-7)
    # 2 rows, 1 column: n = 3 again, and d**2 = 2/3.
    wanted = math.sqrt(4 / 3) * torch.tensor([[math.sqrt(0.75)], [0.5]])
    assert torch.allclose(initial_values(lambda: nn.Linear(1, 2), "dct", 0)["weight"], wanted, atol=1e-7)


SHAPES = [
    (1, 1),
    (1, 5),
    (5, 1),
    (4, 1),
    (2, 3),
    (3, 3),
    (7, 3),
    (300, 784),
    (100, 40),
    (40, 100),
    (8, 3, 3, 3),
    (6, 1, 3),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_dct_is_that_of_scipy_with_the_moments_of_glorot(shape: tuple[int, ...]) -> None:
    weight = torch.empty(shape, dtype=torch.float64)
    dct(weight)
    matrix = weight.flatten(1)
    rows, columns = matrix.shape
    n, deviation = max(rows + 1, columns), glorot_deviation(weight)
    oracle = scipy.fft.dct(np.eye(n), type=2, norm="ortho", axis=0)[1 : rows + 1, :columns]
    assert np.allclose(matrix.numpy(), deviation * math.sqrt(n) * oracle, atol=1e-12)
    assert float((matrix**2).mean()) == pytest.approx(deviation**2)
    if rows < columns:
        assert torch.allclose(matrix.mean(dim=1), torch.zeros(rows, dtype=torch.float64), atol=1e-12)
        assert torch.allclose(matrix @ matrix.T, deviation**2 * n * torch.eye(rows, dtype=torch.float64), atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_dct_makes_no_two_units_alike(shape: tuple[int, ...]) -> None:
    weight = torch.empty(shape)
    dct(weight)
    matrix = weight.flatten(1)
    rows, columns = matrix.shape
    assert (len(matrix.unique(dim=0)), len(matrix.unique(dim=1)[0])) == (rows, columns)
    assert (matrix[:, 0].diff() < 0).all()
    assert (matrix[0].diff() < 0).all()
