"""The random subnetworks: their effective weights against all subsets, and their outputs against the bound."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from tickets.approximation.bound import bounded_outputs
from tickets.approximation.construction import (
    CONSTRUCTIONS,
    Settings,
    drawn_values,
    errors_of,
    find_rows,
    groups_of,
)
from tickets.approximation.network import fill, plain, skeleton
from tickets.approximation.target import layers_of
from tickets.approximation.values import DISTRIBUTIONS
from tickets.errors import InputError


def chain(*widths, bias=True, seed=0):
    torch.manual_seed(seed)
    modules = [nn.Flatten()]
    for before, after in itertools.pairwise(widths):
        modules += [nn.Linear(before, after, bias=bias), nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def approximated(module, settings, signed=True, masks=None):
    layers = layers_of(module, masks or {}, signed)
    network = skeleton(layers, settings)
    found = [find_rows(layer, index, range(len(layer.weight)), settings) for index, layer in enumerate(layers)]
    for index, layer in enumerate(layers):
        fill(network, layer, index, found[index], settings)
    return layers, found, network


def effective(layer, inputs):
    """The weights and the bias of a random pair of layers as its outputs show them: (out, inputs), (out,)."""
    layer = layer.double()
    with torch.no_grad():
        at_zero = layer(torch.zeros(1, inputs.shape[1], dtype=torch.float64))
        shown = (layer(inputs) - at_zero).T.numpy(), at_zero[0].numpy()
    layer.float()
    return shown


@pytest.mark.parametrize("construction", CONSTRUCTIONS)
@pytest.mark.parametrize("values", DISTRIBUTIONS)
def test_each_effective_weight_is_the_nearest_sum_of_all_subsets(construction, values):
    settings = Settings(12, 0.01, values, construction, seed=5)
    signed = (construction, values) != ("row", "constant")
    module = chain(3, 4, bias=True)
    (layer,), (found,), network = approximated(module, settings, signed)
    groups = groups_of(layer, settings)
    every = np.arange(2**12)[:, None] >> np.arange(12) & 1
    eye = torch.eye(3, dtype=torch.float64)
    shown, bias = effective(network.get_submodule("layer0"), eye)
    minus, _ = effective(network.get_submodule("layer0"), -eye)
    for row in range(4):
        drawn = np.broadcast_to(drawn_values(layer, 0, row, groups, settings), (len(groups), 12)).astype(np.float64)
        for group in range(len(groups)):
            source, sign = groups.source[group], groups.sign[group]
            target = layer.sources[row, source]
            sums = every @ (drawn[group] * groups.into[group])
            nearest = np.abs(sums - target).min()
            made = bias[row] if source == 3 else -minus[row, source] if sign < 0 else shown[row, source]
            assert abs(made - target) == pytest.approx(nearest, abs=1e-12)
            assert errors_of(layer, groups, found)[row, group] == pytest.approx(nearest, abs=1e-12)
            if sign == 0 and source < 3:
                assert minus[row, source] == pytest.approx(-shown[row, source], abs=1e-12)


@pytest.mark.parametrize(
    ("construction", "values", "signed", "bias"),
    [
        ("weight", "uniform", True, True),
        ("weight", "normal", False, True),
        ("weight", "signed_constant", True, False),
        ("weight", "constant", True, True),
        ("row", "uniform", True, True),
        ("row", "normal", False, False),
        ("row", "signed_constant", True, True),
        ("row", "constant", False, True),
    ],
)
def test_outputs_keep_the_bound_and_need_most_of_it(construction, values, signed, bias):
    settings = Settings(8, 0.01, values, construction)
    module = chain(5, 16, 8, 3, bias=bias)
    layers, found, network = approximated(module, settings, signed)
    torch.manual_seed(1)
    inputs = torch.randn(200, 5) if signed else torch.rand(200, 5)
    both = bounded_outputs(inputs, layers, found, network, settings)
    with torch.no_grad():
        torch.testing.assert_close(both.target.float(), module(inputs), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(both.approximation.float(), network(inputs), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(plain(network)(inputs), network(inputs), rtol=1e-5, atol=1e-5)
    assert both.holds
    assert float((both.difference / both.bound).max()) > 0.1


def test_a_bound_that_does_not_hold_is_seen():
    settings = Settings(8, 0.01)
    layers, found, network = approximated(chain(5, 6, 3), settings)
    weight = network.get_parameter("layer0.second.weight")
    with torch.no_grad():
        weight[0] += (weight[0] != 0) * 0.5
    assert not bounded_outputs(torch.randn(50, 5), layers, found, network, settings).holds


def test_plain_networks_are_of_linear_and_relu_layers_alone_and_random_values_with_a_mask():
    settings = Settings(6, 0.01, "signed_constant", seed=3)
    layers, _, network = approximated(chain(4, 3, 2), settings)
    made = plain(network)
    assert [type(layer) for layer in made] == [
        nn.Flatten, *[nn.Linear, nn.ReLU, nn.Linear], nn.ReLU, *[nn.Linear, nn.ReLU, nn.Linear]
    ]  # fmt: skip
    # Inputs of either sign, and the bias: (4 + 4 + 1) * 6 units; then (3 + 1) * 6.
    assert [(layer.in_features, layer.out_features) for layer in made if isinstance(layer, nn.Linear)] == [
        (4, 54), (54, 3), (3, 24), (24, 2)
    ]  # fmt: skip
    assert set(made[1].weight.unique().tolist()) <= {-1.0, 0.0, 1.0}
    sizes = set(made[3].weight.abs().unique().tolist())
    assert sizes == {0.0, np.float32(layers[0].scale * 0.5)}


def test_the_leaner_construction_shares_the_candidates_of_a_row():
    settings = Settings(9, 0.01, construction="row")
    _, found, network = approximated(chain(30, 4, bias=False), settings, signed=False)
    assert network.get_submodule("layer0.first").weight.shape == (4 * 9, 30)
    assert network.get_parameter("layer0.second.weight").shape == (4, 9)
    assert network.get_submodule("layer0.first").weight.sum() == found[0].counts.sum()


def test_random_values_depend_on_the_seed_the_layer_and_the_unit_alone():
    module = chain(5, 4, 4)
    layers = layers_of(module, {}, True)
    settings, other = Settings(7, 0.1), Settings(7, 0.1, seed=1)
    groups = groups_of(layers[0], settings)
    values = [drawn_values(layers[0], 0, row, groups, settings) for row in range(2)]
    np.testing.assert_array_equal(values[1], drawn_values(layers[0], 0, 1, groups, Settings(7, 0.5, choose="fewest")))
    assert (values[0] != values[1]).all()
    assert (values[0] != drawn_values(layers[0], 1, 0, groups, settings)).all()
    assert (values[0] != drawn_values(layers[0], 0, 0, groups, other)).all()
    assert np.abs(values[0]).max() <= layers[0].scale


def test_pruned_weights_have_no_candidates():
    module = chain(6, 5, 3)
    masks = {"1.weight": np.arange(30).reshape(5, 6) % 3 == 0}
    with torch.no_grad():
        module[1].weight *= torch.from_numpy(masks["1.weight"])
    layers, found, _ = approximated(module, Settings(10, 0.01), signed=False, masks=masks)
    np.testing.assert_array_equal(found[0].counts[:, :6] > 0, masks["1.weight"])
    assert (
        errors_of(layers[0], groups_of(layers[0], Settings(10, 0.01)), found[0])[:, :6][~masks["1.weight"]].max() == 0
    )


def test_a_pruned_weight_that_is_held_at_another_value_is_approximated_too():
    module = chain(4, 3, bias=False)
    mask = np.zeros((3, 4), bool)
    with torch.no_grad():
        module[1].weight[0, 0] = 0
    (layer,) = layers_of(module, {"1.weight": mask}, False)
    assert layer.surviving.sum() == 11


def test_constants_fail_where_others_succeed():
    module = chain(8, 10, bias=False)
    worst = {}
    for values in DISTRIBUTIONS:
        (layer,), (found,), _ = approximated(module, Settings(20, 0.01, values), signed=True)
        worst[values] = errors_of(layer, groups_of(layer, Settings(20, 0.01, values)), found).max() / layer.scale
        if values == "constant":
            step = np.float32(layer.scale * 0.5)
            np.testing.assert_array_equal(found.sums / step, np.round(found.sums / step))
    assert worst["uniform"] < 0.01
    assert worst["normal"] < 0.01
    assert 0.2 < worst["signed_constant"] <= 0.25 + 1e-6  # the nearest multiple of half the scale
    assert worst["constant"] > 0.9  # which has no negative multiples


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (nn.Linear(2, 2), "the network is a Linear; what is approximated is a chain of Linear and ReLU layers"),
        (nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)), "layer 1 is a Tanh; "),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2, 2)), "layer 0 is a Conv2d; "),
        (nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), "layer 0 is a ReLU; "),
        (nn.Sequential(nn.Flatten()), "the network has no Linear layer; "),
    ],
)
def test_what_is_no_chain_of_linear_and_relu_layers_is_refused_by_name(module, why):
    with pytest.raises(InputError, match=why):
        layers_of(module, {}, False)


def test_a_network_that_diverged_is_refused():
    module = chain(2, 2)
    with torch.no_grad():
        module[1].bias[0] = torch.nan
    with pytest.raises(InputError, match=r"1\.bias has numbers that are NaN or infinite"):
        layers_of(module, {}, False)


def test_every_wrong_setting_is_named_at_once():
    with pytest.raises(InputError) as raised:
        Settings(0, -1.0, "unifrom", "rows", "few", -1)
    assert raised.value.problems == (
        "candidates = 0: must be a whole number from 1 to 62",
        "values = 'unifrom': must be one of uniform, normal, signed_constant, constant; did you mean 'uniform'?",
        "tolerance = -1.0: must be a number above 0, such as 0.01",
        "construction = 'rows': must be weight or row; did you mean 'row'?",
        "choose = 'few': must be nearest or fewest; did you mean 'fewest'?",
        "seed = -1: must be a whole number from 0, below 2**63",
    )


def test_constants_cannot_pass_negative_sums_by_row():
    with pytest.raises(InputError, match="construction = 'row': layer 1 may have negative inputs"):
        approximated(chain(3, 2), Settings(4, 0.1, "constant", "row"), signed=True)
