"""The arc-cosine kernel: at known angles, against wide random layers, and against a numerical integral."""

from __future__ import annotations

import math

import pytest
import scipy.integrate
import torch
from torch import Tensor

from tickets.arc_cosine import cosine_after, cosines, distance_after


def at(degrees: float) -> Tensor:
    return torch.tensor([math.cos(math.radians(degrees))], dtype=torch.float64)


@pytest.mark.parametrize(
    ("degrees", "cosine"),
    [
        (0, 1.0),
        (90, 1 / math.pi),
        (180, 0.0),
        (60, (math.sqrt(3) / 2 + (2 * math.pi / 3) * 0.5) / math.pi),  # 0.609
        (120, (math.sqrt(3) / 2 - (math.pi / 3) * 0.5) / math.pi),  # 0.109
    ],
)
def test_the_cosine_at_known_angles(degrees: float, cosine: float) -> None:
    assert float(cosine_after(at(degrees))) == pytest.approx(cosine, abs=1e-12)


def test_two_layers_are_one_after_the_other_and_no_layer_is_none() -> None:
    angle = math.acos(1 / math.pi)
    twice = (math.sin(angle) + (math.pi - angle) / math.pi) / math.pi
    assert float(cosine_after(at(90), 2)) == pytest.approx(twice, abs=1e-12)
    assert torch.equal(cosine_after(at(75), 3), cosine_after(cosine_after(cosine_after(at(75)))))
    assert torch.equal(cosine_after(at(75), 0), at(75))


def test_rounding_beyond_one_is_one() -> None:
    given = torch.tensor([1 + 1e-15, -1 - 1e-15], dtype=torch.float64)
    assert cosine_after(given).tolist() == pytest.approx([1.0, 0.0], abs=1e-12)


@pytest.mark.parametrize("degrees", [20.0, 100.0])
def test_the_expectation_is_that_of_the_integral(degrees: float) -> None:
    """E[max(u, 0) max(v, 0)] of two normal numbers: in polar coordinates, the integral over the weight's direction."""
    t = math.radians(degrees)
    # E[r**2] = 2, and a direction p has the products cos p and cos(p - t).
    value, _ = scipy.integrate.quad(
        lambda p: max(math.cos(p), 0) * max(math.cos(p - t), 0) / math.pi, -math.pi, math.pi
    )
    assert float(cosine_after(at(degrees))) / 2 == pytest.approx(value, rel=1e-6)


def test_a_wide_gaussian_layer_does_as_expected() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    width, deviation = 400_000, 0.3
    weight = deviation * torch.randn(width, 7, generator=generator, dtype=torch.float64)
    after = torch.relu(x @ weight.T)
    assert torch.allclose(cosines(after), cosine_after(cosines(x)), atol=0.01)
    first, second = torch.triu_indices(5, 5, 1)
    lengths = x.norm(dim=1)
    expected = distance_after((lengths[first], lengths[second]), cosines(x)[first, second], width, deviation**2)
    assert torch.allclose((after[first] - after[second]).norm(dim=1), expected, rtol=0.01)


def test_the_distance_of_equal_and_of_opposite_inputs() -> None:
    one, two = torch.tensor([1.0]).double(), torch.tensor([2.0]).double()
    assert float(distance_after((two, two), at(0), 10, 1.0)) == pytest.approx(0, abs=1e-7)
    # Of 10 units half are on for each, never both: 5 x 1 + 5 x 4.
    assert float(distance_after((one, two), at(180), 10, 1.0)) == pytest.approx(5.0)


def test_cosines_of_rows_and_of_rows_of_zeros() -> None:
    rows = torch.tensor([[3.0, 0.0], [4.0, 4.0], [0.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    half = math.sqrt(0.5)
    wanted = [
        [1, half, 0, -1, 0],
        [half, 1, 0, -half, 0],
        [0, 0, 1, 0, 1],
        [-1, -half, 0, 1, 0],
        [0, 0, 1, 0, 1],
    ]
    assert torch.allclose(cosines(rows), torch.tensor(wanted, dtype=torch.float64), atol=1e-12)
