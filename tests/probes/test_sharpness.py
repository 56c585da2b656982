"""The probe `sharpness`: against Hessians that are known in closed form or computed whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from networks_by_hand import networks_by_hand
from torch import nn
from torch.nn import functional

from tickets.errors import InputError
from tickets.probes.sharpness import FEW, largest_eigenvalue, sharpness

WIDE = 60  # inputs: more coordinates than those of which the whole matrix is computed


def linear() -> nn.Module:
    return nn.Sequential(nn.Linear(WIDE, 1))


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


class Distances(nn.Module):
    """PyTorch has no derivative of the derivative of torch.cdist."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        return -torch.cdist(self.layer(x), torch.eye(2))


@pytest.mark.parametrize(("of", "bias"), [("trained", True), ("weights", False)])
def test_a_linear_model_with_squared_error_has_a_known_hessian(of, bias, one_thread) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(80, WIDE, generator=generator), torch.randn(80, 1, generator=generator)
    mask = torch.rand(1, WIDE, generator=generator) < 0.75
    networks = networks_by_hand(linear, [{}], [{"0.weight": mask}], inputs, targets, train={"loss": "mse"})
    (row,) = sharpness(networks, of=of, tolerance=1e-7).to_dict("records")
    # The loss is the mean of (w x + b - y)^2: the Hessian is 2 X^T X / n at every w and b; the column of ones is b's.
    columns = np.concatenate([inputs.numpy()[:, mask[0].numpy()], *([np.ones((80, 1))] if bias else [])], 1)
    hessian = 2 * columns.astype(np.float64).T @ columns / len(columns)
    assert row["coordinates"] == len(hessian) == int(mask.sum()) + bias > FEW
    assert row["sharpness"] == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-5)
    assert row["converged"] is True
    assert row["products"] > 1


def test_sharpness_of_surviving_weights_by_the_whole_matrix(one_thread) -> None:
    generator = torch.Generator().manual_seed(1)
    inputs, targets = torch.randn(50, 4, generator=generator), torch.arange(50) % 2
    masks = {"0.weight": torch.rand(8, 4, generator=generator) < 0.6}
    values = {"2.weight": torch.randn(2, 8, generator=generator)}
    networks = networks_by_hand(small, [values, {"0.bias": torch.full((8,), math.nan)}], [masks] * 2, inputs, targets)
    found = sharpness(networks, tolerance=1e-6)
    whole = {name: value[0] for name, value in networks.values.items()}
    sizes = [value.numel() for value in whole.values()]

    def loss(flat):
        parts = [part.view_as(value) for part, value in zip(flat.split(sizes), whole.values(), strict=True)]
        return functional.cross_entropy(
            torch.func.functional_call(small(), dict(zip(whole, parts, strict=True)), inputs), targets
        )

    hessian = torch.autograd.functional.hessian(loss, torch.cat([value.flatten() for value in whole.values()]))
    kept = torch.cat(
        [masks.get(name, torch.ones_like(value, dtype=torch.bool)).flatten() for name, value in whole.items()]
    )
    values = np.linalg.eigvalsh(hessian[kept][:, kept].double().numpy())
    assert found["sharpness"][0] == pytest.approx(values[-1], rel=1e-4)
    assert found["coordinates"].tolist() == [int(kept.sum())] * 2
    # A network that diverged has none.
    assert math.isnan(found["sharpness"][1])
    assert found["converged"].tolist() == [True, False]
    assert found["products"][1] == 0


@pytest.mark.parametrize("size", [1, 5, FEW + 60])
def test_the_largest_eigenvalue_is_not_the_one_of_largest_magnitude(size) -> None:
    random = np.random.default_rng(size)
    basis, _ = np.linalg.qr(random.standard_normal((size, size)))
    eigenvalues = np.linspace(-9, 2, size)
    matrix = basis * eigenvalues @ basis.T
    found, converged = largest_eigenvalue(lambda vector: matrix @ vector, size, np.ones(size), 100, 1e-9)
    assert found == pytest.approx(eigenvalues[-1], rel=1e-8)
    assert converged


def test_an_eigenvalue_that_is_not_found_is_nan() -> None:
    random = np.random.default_rng(0)
    matrix = random.standard_normal((400, 400))
    matrix = matrix + matrix.T
    found, converged = largest_eigenvalue(lambda vector: matrix @ vector, 400, np.ones(400), 1, 0.0)
    assert math.isnan(found)
    assert not converged
    for size in (3, 50):
        lost, converged = largest_eigenvalue(lambda vector: vector * math.nan, size, np.ones(size), 5, 1e-4)
        assert math.isnan(lost)
        assert not converged


def test_a_model_without_second_derivatives_is_named(one_thread) -> None:
    networks = networks_by_hand(Distances, [{}], [{}], torch.randn(6, 4), torch.arange(6) % 2)
    with pytest.raises(InputError, match=r"probe 'sharpness': the model or the loss has no second derivative: .*leave"):
        sharpness(networks)
