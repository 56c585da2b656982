"""Initial weights without randomness: Hadamard's signs and the quasi-random frames, by hand and against oracles."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from torch import Tensor, nn

from tickets.data import load_dataset
from tickets.errors import InputError
from tickets.frames import dct, hadamard, quasi_normal, quasi_orthogonal
from tickets.initial import glorot_deviation, initial_values

RULES = (dct, hadamard, quasi_normal, quasi_orthogonal)
SHAPES = [
    (1, 1),
    (1, 5),
    (5, 1),
    (2, 2),
    (3, 2),
    (2, 3),
    (3, 3),
    (100, 2),
    (65, 7),
    (64, 7),
    (10, 100),
    (100, 40),
    (256, 64),
    (64, 64),
    (300, 784),
    (8, 3, 3, 3),
    (70, 1, 3),
]


def filled(rule, shape: tuple[int, ...], **options: float) -> Tensor:
    """The weight as a float64 matrix."""
    weight = torch.empty(shape, dtype=torch.float64)
    rule(weight, **options)
    return weight.flatten(1)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_root_mean_square_is_the_scale_or_that_of_glorot(rule, shape: tuple[int, ...]) -> None:
    usual, wider = filled(rule, shape), filled(rule, shape, scale=3.0)
    assert float(usual.square().mean().sqrt()) == pytest.approx(glorot_deviation(torch.empty(shape)))
    assert float(wider.square().mean().sqrt()) == pytest.approx(3.0)
    assert torch.allclose(usual / usual.abs().max(), wider / wider.abs().max())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_two_units_have_equal_or_opposite_weights(rule, shape: tuple[int, ...]) -> None:
    matrix = filled(rule, shape).float()
    assert len(matrix.unique(dim=0)) == len(matrix)
    if rule is not dct:  # a single column of cosines has opposite ones
        assert len(torch.cat([matrix, -matrix]).unique(dim=0)) == 2 * len(matrix)


def test_hadamard_of_tiny_tensors() -> None:
    # N = 4 and g = floor(4 * 0.618) + 1 = 3: K = 0, 1, 2, 3.
    sylvester = [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]
    assert filled(hadamard, (4, 4), scale=1.0).tolist() == sylvester
    assert filled(hadamard, (4, 3), scale=1.0).tolist() == [row[:3] for row in sylvester]
    assert filled(hadamard, (2, 3), scale=0.5).tolist() == [[0.5, 0.5, 0.5], [0.5, -0.5, 0.5]]
    # A single column: N = 3 rows in blocks of 1, of sizes 1, 2 and 3.
    assert filled(hadamard, (3, 1), scale=1.0).flatten().tolist() == pytest.approx(
        [one / math.sqrt(14 / 3) for one in (1, 2, 3)]
    )
    # Two columns: blocks of 2 rows.
    one, two = 1 / math.sqrt(2.5), 2 / math.sqrt(2.5)
    assert filled(hadamard, (4, 2), scale=1.0).flatten().tolist() == pytest.approx(
        [one, one, one, -one, two, two, two, -two]
    )


def indices(order: int) -> list[int]:
    """K of the docstring, as it is written there."""
    powers = [0, *(2**k for k in range(int(math.log2(order))))]
    step = math.floor(order * (math.sqrt(5) - 1) / 2)
    step += step % 2 == 0
    return powers + [i * step % order for i in range(1, order) if i * step % order not in powers]


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if math.prod(shape[1:]) > 8])
def test_hadamard_is_part_of_sylvesters_matrix(shape: tuple[int, ...]) -> None:
    rows, columns = shape[0], math.prod(shape[1:])
    order = 2 ** math.ceil(math.log2(max(rows, columns)))
    whole, k = scipy.linalg.hadamard(order), indices(order)
    wanted = whole[k[:rows], :columns] if rows < columns else whole[:rows][:, k[:columns]]
    assert sorted(k) == list(range(order))
    np.testing.assert_allclose(filled(hadamard, shape, scale=2.0).numpy(), 2.0 * wanted)


@pytest.mark.parametrize("shape", [(64, 64), (10, 64), (64, 10), (256, 64)])
def test_hadamard_is_orthogonal_where_the_longer_side_is_a_power_of_two(shape: tuple[int, int]) -> None:
    matrix = filled(hadamard, shape, scale=1.0)
    short = matrix if shape[0] <= shape[1] else matrix.T
    assert torch.equal(short @ short.T, max(shape) * torch.eye(min(shape), dtype=torch.float64))


def test_the_signs_of_a_unit_are_not_nearly_those_of_another() -> None:
    """The worst of all pairs, |cosine|, is that of signs at random or better."""
    matrix = filled(hadamard, (1024, 64), scale=1.0)
    cosines = (matrix @ matrix.T / 64).fill_diagonal_(0)
    signs = torch.randint(0, 2, (1024, 64), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    drawn = (signs @ signs.T / 64).fill_diagonal_(0)
    assert cosines.abs().max() <= drawn.abs().max()


def test_quasi_normal_against_exact_arithmetic() -> None:
    primes = [n for n in range(2, 200) if all(n % k for k in range(2, n))][:40]
    # The 52 binary digits that float64 has of the fraction of the root, or fewer.
    roots = [Fraction(math.floor((math.sqrt(p) % 1) * 2**52), 2**52) for p in primes]
    points = [[(k * (k + 1) // 2 * root) % 1 + Fraction(1, 2**53) for root in roots] for k in range(1, 51)]
    wanted = scipy.stats.norm.ppf(np.array(points, dtype=np.float64))
    wanted /= math.sqrt((wanted**2).mean())
    np.testing.assert_allclose(filled(quasi_normal, (50, 40), scale=1.0).numpy(), wanted, rtol=1e-9, atol=1e-12)
    true = scipy.stats.norm.ppf((3 * np.sqrt(primes)) % 1)  # k = 2
    np.testing.assert_allclose(wanted[1] * true[0] / wanted[1, 0], true, rtol=1e-9, atol=1e-12)


def test_quasi_normal_looks_like_normal_numbers() -> None:
    matrix = filled(quasi_normal, (300, 784), scale=1.0)
    assert abs(float(matrix.mean())) < 0.01
    assert scipy.stats.kstest(matrix.flatten().numpy(), "norm").statistic < 0.01
    covariances = [float((matrix[:, i] * matrix[:, j]).mean()) for i, j in itertools.combinations(range(40), 2)]
    assert np.std(covariances) == pytest.approx(1 / math.sqrt(300), rel=0.2)


def test_quasi_normal_has_its_last_row_as_exactly_as_its_first() -> None:
    rows = 70_000
    last = filled(quasi_normal, (rows, 2), scale=1.0)[-1]
    root = Fraction(math.floor((math.sqrt(2) % 1) * 2**52), 2**52)
    point = (rows * (rows + 1) // 2 * root) % 1
    assert float(last[0]) == pytest.approx(scipy.stats.norm.ppf(float(point)), rel=5e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_quasi_orthogonal_is_gram_and_schmidt_of_quasi_normal(shape: tuple[int, ...]) -> None:
    matrix, normal = filled(quasi_orthogonal, shape, scale=1.0), filled(quasi_normal, shape, scale=1.0)
    if matrix.shape[0] >= matrix.shape[1]:
        matrix, normal = matrix.T, normal.T
    long = matrix.shape[1]
    assert torch.allclose(matrix @ matrix.T, long * torch.eye(len(matrix), dtype=torch.float64), atol=1e-9 * long)
    for k in range(min(3, len(matrix))):
        before = matrix[:k] / math.sqrt(long)
        rest = normal[k] - before.T @ (before @ normal[k])
        assert torch.allclose(matrix[k], rest * math.sqrt(long) / rest.norm(), atol=1e-9)


def deviation(rule, x: Tensor, width: int, layers: int) -> float:
    """Root mean square deviation of the cosines after ReLU layers from the arc-cosine kernel (Cho & Saul 2009)."""
    first, second = torch.triu_indices(len(x), len(x), 1)

    def cosine(y: Tensor) -> Tensor:
        unit = y / y.norm(dim=1, keepdim=True)
        return (unit @ unit.T)[first, second]

    expected = cosine(x)
    for _ in range(layers):
        x = torch.relu(x @ filled(rule, (width, x.shape[1]), scale=1.0).T)
        angle = expected.clamp(-1, 1).arccos()
        expected = (angle.sin() + (math.pi - angle) * angle.cos()) / math.pi
    return float((cosine(x) - expected).square().mean().sqrt())


@pytest.mark.parametrize("width", [128, 512])
def test_the_quasi_random_frames_do_to_angles_as_gaussian_weights_do(width: int) -> None:
    x = load_dataset({}, "mnist1d", None).train_inputs[:64].flatten(1).double()
    generator = torch.Generator().manual_seed(0)

    def gaussian(weight: Tensor, scale: float) -> None:
        weight.normal_(0.0, scale, generator=generator)

    for layers in (1, 3):
        drawn = [deviation(gaussian, x, width, layers) for _ in range(10)]
        assert deviation(quasi_normal, x, width, layers) < 1.15 * np.mean(drawn)
        assert deviation(quasi_orthogonal, x, width, layers) < np.mean(drawn)
        assert deviation(dct, x, width, layers) > max(drawn)


def test_orthogonal_takes_a_scale_in_place_of_the_gain() -> None:
    for linear in (lambda: nn.Linear(30, 20), lambda: nn.Linear(20, 30)):
        plain, scaled = (initial_values(linear, init, 5)["weight"] for init in
                         ("orthogonal", {"name": "orthogonal", "scale": 2.0}))  # fmt: skip
        assert float(scaled.square().mean().sqrt()) == pytest.approx(2.0)
        assert torch.allclose(plain * 2 * math.sqrt(30), scaled, atol=1e-6)
    with pytest.raises(InputError, match=r"gain = 2.0 and scale = 0.5 say the same; give one of them"):
        initial_values(lambda: nn.Linear(3, 2), {"name": "orthogonal", "gain": 2.0, "scale": 0.5}, 0)
