from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tickets.errors import InputError
from tickets.initial import INITS, initial_values
from tickets.models.mlp import mlp
from tickets.models.resnet import resnet20


def wide() -> nn.Module:
    """A Linear of 800 -> 400 and a convolution with fan-in 50 * 9 and fan-out 80 * 9."""
    return nn.ModuleDict({"linear": nn.Linear(800, 400), "conv": nn.Conv2d(50, 80, 3), "norm": nn.BatchNorm2d(80)})


def small() -> nn.Module:
    return mlp((6,), 3, [5])


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


@pytest.mark.parametrize("init", INITS)
def test_the_seed_alone_decides(init: str) -> None:
    first = initial_values(small, init, 7)
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    assert same(initial_values(small, init, 7), first)
    other = initial_values(small, init, 8)
    assert not torch.equal(other["1.weight"], first["1.weight"])
    assert not torch.equal(other["3.weight"], first["3.weight"])


def test_seeds_go_up_to_63_bits() -> None:
    assert not same(initial_values(small, "pytorch", 2**63 - 1), initial_values(small, "pytorch", 2**63 - 2))


@pytest.mark.parametrize("init", INITS)
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


def test_a_convolution_without_bias_and_a_transposed_weight_will_do() -> None:
    def odd() -> nn.Module:
        module = nn.Conv1d(2, 3, 3, bias=False)
        module.weight = nn.Parameter(module.weight.transpose(0, 2))
        return module

    assert initial_values(odd, "glorot_normal", 0)["weight"].is_contiguous()


def test_an_unknown_rule_offers_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r"model.init = 'glorot': unknown; did you mean 'glorot_normal'\? \(allowed: pytorch"
    ):
        initial_values(small, "glorot", 0)
