"""Initial values by rule: their moments, seeds and generators, and what keeps the values of the constructor."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tickets.catalogue import INITS
from tickets.errors import InputError
from tickets.initial import glorot_deviation, initial_values
from tickets.models.mlp import mlp
from tickets.models.resnet import resnet20


def wide() -> nn.Module:
    """A Linear of 800 -> 400 and a convolution with fan-in 50 * 9 and fan-out 80 * 9."""
    return nn.ModuleDict({"linear": nn.Linear(800, 400), "conv": nn.Conv2d(50, 80, 3), "norm": nn.BatchNorm2d(80)})


def small() -> nn.Module:
    return mlp((6,), 3, [5])


BY_WEIGHT = [name for name in INITS if name != "planted"]  # "planted" fills a whole module; see test_planting.py
FIXED = ("constant", "zeros", "dct", "hadamard", "quasi_normal", "quasi_orthogonal")  # the same for every seed


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("init", "linear", "conv"),
    [
        ("glorot_normal", math.sqrt(2 / 1200), math.sqrt(2 / (450 + 720))),
        ("glorot_uniform", math.sqrt(2 / 1200), math.sqrt(2 / (450 + 720))),
        ("kaiming_normal", math.sqrt(2 / 800), math.sqrt(2 / 450)),
        ("kaiming_uniform", math.sqrt(2 / 800), math.sqrt(2 / 450)),
    ],
)
def test_weights_have_the_mean_and_deviation_of_the_rule(init: str, linear: float, conv: float) -> None:
    values = initial_values(wide, init, 0)
    for name, deviation in (("linear.weight", linear), ("conv.weight", conv)):
        weights = values[name]
        assert abs(float(weights.mean())) < 5 * deviation / math.sqrt(weights.numel())
        assert float(weights.std()) == pytest.approx(deviation, rel=0.02)
        largest = float(weights.abs().max()) / deviation
        if init.endswith("uniform"):
            assert largest == pytest.approx(math.sqrt(3), rel=1e-3)  # the edge of a uniform of that deviation
        else:
            assert 4 < largest < 6  # a normal's, among 36,000 to 320,000
    assert (values["linear.bias"] == 0).all()
    assert (values["conv.bias"] == 0).all()


def test_pytorch_is_what_the_constructor_draws() -> None:
    values = initial_values(small, "pytorch", 5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        module = small()
    assert same(values, {name: parameter.detach() for name, parameter in module.named_parameters()})
    assert values["1.bias"].abs().min() > 0


@pytest.mark.parametrize(
    ("init", "linear", "conv", "largest"),
    [
        ({"name": "uniform"}, 0.05 / math.sqrt(3), 0.05 / math.sqrt(3), 0.05),
        ({"name": "uniform", "scale": 2.0}, 2 / math.sqrt(3), 2 / math.sqrt(3), 2.0),
        ({"name": "normal"}, 0.05, 0.05, None),
        ({"name": "normal", "scale": 2.0}, 2.0, 2.0, None),
        ({"name": "orthogonal"}, math.sqrt(1 / 800), math.sqrt(1 / 450), None),
        ({"name": "orthogonal", "gain": 3.0}, 3 * math.sqrt(1 / 800), 3 * math.sqrt(1 / 450), None),
        ({"name": "orthogonal", "scale": 0.25}, 0.25, 0.25, None),
    ],
)
def test_weights_have_the_mean_and_deviation_of_the_options(
    init: dict[str, Any], linear: float, conv: float, largest: float | None
) -> None:
    values = initial_values(wide, init, 0)
    for name, deviation in (("linear.weight", linear), ("conv.weight", conv)):
        weights = values[name]
        assert abs(float(weights.mean())) < 5 * deviation / math.sqrt(weights.numel())
        assert float(weights.std()) == pytest.approx(deviation, rel=0.02)
        top = float(weights.abs().max())
        assert top == pytest.approx(largest, rel=1e-3) if largest is not None else 4 < top / deviation < 6


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_orthogonal_rows_are_orthonormal_times_the_gain(gain: float) -> None:
    values = initial_values(wide, {"name": "orthogonal", "gain": gain}, 0)
    for name in ("linear.weight", "conv.weight"):
        rows = values[name].flatten(1).double()
        assert torch.allclose(rows @ rows.T, gain**2 * torch.eye(len(rows), dtype=torch.float64), atol=1e-5)
    tall = initial_values(lambda: nn.Linear(3, 7), {"name": "orthogonal", "gain": gain}, 0)["weight"].double()
    assert torch.allclose(tall.T @ tall, gain**2 * torch.eye(3, dtype=torch.float64), atol=1e-5)


@pytest.mark.parametrize(
    ("scale", "linear", "conv"), [(None, math.sqrt(2 / 1200), math.sqrt(2 / 1170)), (0.5, 0.5, 0.5)]
)
def test_signs_at_random_of_one_size(scale: float | None, linear: float, conv: float) -> None:
    values = initial_values(wide, {"name": "sign_constant", "scale": scale}, 0)
    for name, size in (("linear.weight", linear), ("conv.weight", conv)):
        weights = values[name]
        assert weights.unique().tolist() == pytest.approx([-size, size])
        assert abs(float(weights.sign().mean())) < 5 / math.sqrt(weights.numel())


@pytest.mark.parametrize(
    ("init", "number"), [("constant", 0.5), ({"name": "constant", "value": -0.25}, -0.25), ("zeros", 0.0)]
)
def test_every_weight_the_same_number(init: str | dict[str, Any], number: float) -> None:
    values = initial_values(small, init, 3)
    assert torch.equal(values["1.weight"], torch.full((5, 6), number))
    assert torch.equal(values["3.weight"], torch.full((3, 5), number))
    assert torch.equal(values["1.bias"], torch.zeros(5))


def test_fans_are_as_torch_counts_them() -> None:
    for weight in (torch.empty(80, 50, 3, 3), torch.empty(4, 7), nn.ConvTranspose1d(2, 6, 5).weight):
        fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(weight)
        assert glorot_deviation(weight) == math.sqrt(2 / (fan_in + fan_out))


@pytest.mark.parametrize("init", BY_WEIGHT)
def test_biases_are_zeros_or_the_models_and_the_weights_do_not_heed_it(init: str) -> None:
    constructed = initial_values(small, "pytorch", 3)
    zeros, models = (initial_values(small, {"name": init, "biases": biases}, 3) for biases in ("zeros", "model"))
    for name in ("1", "3"):
        assert torch.equal(zeros[f"{name}.weight"], models[f"{name}.weight"])
        assert (zeros[f"{name}.bias"] == 0).all()
        assert torch.equal(models[f"{name}.bias"], constructed[f"{name}.bias"])
    assert same(initial_values(small, init, 3), models if init == "pytorch" else zeros)


def test_scaled_biases_shrink_from_layer_to_layer_and_the_weights_do_not_heed_them() -> None:
    def deep() -> nn.Module:
        return mlp((8,), 4000, [4000, 50])

    scaled, zeros = (initial_values(deep, {"name": "dct", "biases": biases}, 0) for biases in ("scaled", "zeros"))
    assert all(torch.equal(scaled[f"{name}.weight"], zeros[f"{name}.weight"]) for name in (1, 3, 5))
    first, last = (float(scaled[f"{name}.bias"].std()) for name in (1, 5))
    assert first == pytest.approx(math.sqrt(2 / 8), rel=0.05)
    assert last == pytest.approx(math.sqrt(2 / 8 * 2 / 4000 * 2 / 50), rel=0.05)
    assert same(initial_values(deep, {"name": "dct", "biases": "scaled"}, 0), scaled)


@pytest.mark.parametrize("init", BY_WEIGHT)
def test_the_seed_alone_decides(init: str) -> None:
    first = initial_values(small, init, 7)
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    assert same(initial_values(small, init, 7), first)
    other = initial_values(small, init, 8)
    for name in ("1.weight", "3.weight"):
        assert torch.equal(other[name], first[name]) == (init in FIXED)


def test_seeds_go_up_to_63_bits() -> None:
    assert not same(initial_values(small, "pytorch", 2**63 - 1), initial_values(small, "pytorch", 2**63 - 2))


@pytest.mark.parametrize("init", BY_WEIGHT)
def test_the_global_generators_are_left_alone(init: str) -> None:
    torch.manual_seed(1), np.random.seed(2), random.seed(3)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    initial_values(small, init, 0)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()
    assert random.getstate() == states[2]


def test_they_are_left_alone_when_building_fails() -> None:
    def fails() -> nn.Module:
        torch.rand(3)
        raise KeyError("no")

    before = torch.get_rng_state()
    with pytest.raises(KeyError):
        initial_values(fails, "pytorch", 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_that_draws_with_numpy_or_python_follows_the_seed_too() -> None:
    def drawing() -> nn.Module:
        module = nn.Linear(2, 2)
        module.extra = nn.Parameter(torch.tensor([np.random.rand(), random.random()]))
        return module

    first = initial_values(drawing, "glorot_normal", 3)
    assert same(initial_values(drawing, "glorot_normal", 3), first)
    other = initial_values(drawing, "glorot_normal", 4)
    assert (other["extra"] != first["extra"]).all()


def test_everything_else_is_as_constructed() -> None:
    plain, drawn = (initial_values(lambda: resnet20((3, 8, 8), 4), init, 0) for init in ("pytorch", "kaiming_normal"))
    assert list(plain) == list(drawn)
    for name in plain:
        if "norm" in name or "running" in name or "tracked" in name:
            assert torch.equal(plain[name], drawn[name]), name
    assert (drawn["norm.weight"] == 1).all()
    assert (drawn["output.bias"] == 0).all()
    assert drawn["stage2.0.shortcut.1.num_batches_tracked"] == 0
    assert not torch.equal(plain["stage2.0.shortcut.0.weight"], drawn["stage2.0.shortcut.0.weight"])


def test_every_parameter_and_buffer_in_the_modules_order() -> None:
    module = resnet20((3, 8, 8), 4)
    wanted = [name for name, _ in (*module.named_parameters(), *module.named_buffers())]
    assert list(initial_values(lambda: module, "pytorch", 0)) == wanted
    assert set(wanted) == set(module.state_dict())


def test_values_are_nobody_elses() -> None:
    module = small()
    values = initial_values(lambda: module, "pytorch", 0)
    for name, parameter in module.named_parameters():
        assert values[name].data_ptr() != parameter.data_ptr()
        assert not values[name].requires_grad
        assert values[name].device.type == "cpu"
        assert values[name].is_contiguous()


@pytest.mark.parametrize("init", BY_WEIGHT)
def test_a_convolution_without_bias_and_a_transposed_weight_will_do(init: str) -> None:
    def odd() -> nn.Module:
        module = nn.Conv1d(2, 3, 3, bias=False)
        module.weight = nn.Parameter(module.weight.transpose(0, 2))
        return module

    assert initial_values(odd, init, 0)["weight"].is_contiguous()


def test_an_unknown_rule_offers_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r"model.init = 'glorot': unknown; did you mean 'glorot_normal'\? \(allowed: pytorch"
    ):
        initial_values(small, "glorot", 0)


# Weights that are frozen, or computed from others.


def half_frozen() -> nn.Module:
    module = small()
    module[1].requires_grad_(False)
    return module


@pytest.mark.parametrize("init", ["glorot_normal", "constant"])
def test_frozen_parameters_stay_as_built(init: str) -> None:
    built, drawn = initial_values(half_frozen, "pytorch", 3), initial_values(half_frozen, init, 3)
    assert all(torch.equal(built[name], drawn[name]) for name in ("1.weight", "1.bias"))
    assert not torch.equal(built["3.weight"], drawn["3.weight"])
    assert not drawn["3.bias"].any()


def normed() -> nn.Module:
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 4)), nn.Linear(4, 3))


def test_a_weight_that_is_computed_from_others_is_drawn_too() -> None:
    module = normed()
    module.load_state_dict(initial_values(normed, {"name": "constant", "value": 0.25}, 0))
    torch.testing.assert_close(module[0].weight, torch.full((4, 6), 0.25))
    assert (module[1].weight == 0.25).all()
    starts = [initial_values(normed, "glorot_normal", seed)["0.parametrizations.weight.original1"] for seed in (0, 1)]
    assert not torch.equal(*starts)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_a_weight_that_cannot_be_set_is_named() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.utils.weight_norm(nn.Linear(6, 4)), nn.Linear(4, 3))

    with pytest.raises(InputError, match=r"model.init: cannot set 0.weight, which is computed from other parameters"):
        initial_values(build, "glorot_normal", 0)
    assert not initial_values(build, {"name": "pytorch", "biases": "zeros"}, 0)["0.bias"].any()
