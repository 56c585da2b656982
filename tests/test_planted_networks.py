"""The networks that are planted: widths, outputs at points worked out by hand, and how well they solve their data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tickets.data.planted import circle, helix, helix_points, relu
from tickets.planted_networks import CIRCLE_REACH, CIRCLE_SEGMENTS, NETWORKS, helix_network, relu_network

DEPTHS = (1, 2, 3, 4, 6)
SIZES = {
    "relu": [((1,), 2), ((1, 1), 3), ((1, 1, 1), 4), ((1,) * 4, 5), ((1,) * 6, 7)],
    "circle": [((32,), 128), ((4, 16), 84), ((4, 16, 1), 55), ((4, 2, 16, 1), 43), ((4, 2, 16, 1, 1, 1), 45)],
    "helix": [((30,), 91), ((1, 30), 92), ((1, 1, 30), 93), ((1, 1, 1, 30), 94), ((1,) * 5 + (30,), 96)],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_size_of_each_depth(name: str) -> None:
    assert [(network.widths, network.weights) for network in map(NETWORKS[name], DEPTHS)] == SIZES[name]
    assert (NETWORKS[name](2).inputs, NETWORKS[name](2).outputs) == {"relu": (1, 1), "circle": (2, 4), "helix": (1, 3)}[
        name
    ]


def test_a_network_computes_layers_with_relu_between_them_and_none_at_the_end() -> None:
    x = torch.tensor([[0.3], [-0.9]])
    network = helix_network(2)
    (first, shift), (second, knots), (last, start) = network.layers
    by_hand = torch.relu(torch.relu(x.double() @ first.T + shift) @ second.T + knots) @ last.T + start
    assert torch.equal(network(x), by_hand)
    assert bool((by_hand < 0).any())


@pytest.mark.parametrize("hidden", DEPTHS)
def test_relu_is_exact(hidden: int) -> None:
    assert relu_network(hidden)(torch.tensor([[-1.0], [0.0], [0.25]])).tolist() == [[0.0], [0.0], [0.25]]


@pytest.mark.parametrize("hidden", DEPTHS)
def test_the_logits_of_circle(hidden: int) -> None:
    """At knots t**2 is exact, so logit k is k (r - d**2 / 3) less the sum of the first k bounds."""
    distance = CIRCLE_REACH / CIRCLE_SEGMENTS
    for across, up in ((0, 0), (3, -5), (-8, 1)):
        r = (across**2 + up**2) * distance**2
        logits = NETWORKS["circle"](hidden)(torch.tensor([[across, up]], dtype=torch.float64) * distance)
        expected = [k * (r - distance**2 / 3) - sum((0.2, 0.5, 0.7)[:k]) for k in range(4)]
        assert logits[0].tolist() == pytest.approx(expected, abs=1e-12)
    # Half-way between two knots the interpolation is d**2 / 4 above t**2.
    middle = NETWORKS["circle"](hidden)(torch.tensor([[2.5 * distance, 0.0]], dtype=torch.float64))
    assert float(middle[0, 1]) == pytest.approx((2.5**2 + 1 / 4 - 1 / 3) * distance**2 - 0.2)


@pytest.mark.parametrize("hidden", DEPTHS)
def test_helix_is_exact_at_its_31_ends_and_linear_between_them(hidden: int) -> None:
    ends = np.linspace(-1, 1, 31)
    network = helix_network(hidden)
    assert network(torch.from_numpy(ends[:, None])).numpy() == pytest.approx(helix_points(ends), abs=1e-12)
    middle = network(torch.from_numpy((ends[:-1, None] + ends[1:, None]) / 2)).numpy()
    assert middle == pytest.approx((helix_points(ends[:-1]) + helix_points(ends[1:])) / 2, abs=1e-12)


def test_how_well_each_solves_its_data_without_noise() -> None:
    for name, data, hidden in ((name, data, h) for name, data in _clean().items() for h in (1, 3, 5)):
        x, y = data.test_inputs, data.test_labels
        outputs = NETWORKS[name](hidden)(x)
        if name == "circle":
            assert float((outputs.argmax(1) == y).double().mean()) >= 0.997
        else:
            unexplained = (outputs - y).square().sum() / (y - y.mean(0)).square().sum()
            assert float(1 - unexplained) >= {"relu": 1.0, "helix": 0.9985}[name]


def _clean() -> dict:
    sizes = {"examples": 1, "test": 5000, "noise": 0.0}
    return {"circle": circle(**sizes), "relu": relu(**sizes), "helix": helix(**sizes)}
