"""A run made ready."""

from __future__ import annotations

import pytest
import torch
from fitted_runs import fitted
from torch import nn

from tickets.amounts import rates_by_tensor
from tickets.planning import plan_execution
from tickets.ready import ready_run

CPU = torch.device("cpu")


def test_a_model_of_linear_layers_has_no_images() -> None:
    assert not fitted().anatomy.has_images


def test_a_setting() -> None:
    ready = fitted(model={"name": "mlp", "widths": [5], "init": "glorot_normal"})
    plan = plan_execution(ready, CPU)
    setting = ready_run(ready, plan, CPU)
    assert setting.parameters == ("1.weight", "1.bias", "3.weight", "3.bias")
    assert setting.biases == {"1.bias", "3.bias"}
    assert setting.activations == ready.anatomy.activations
    assert setting.plan is plan
    first, again, other = setting.fresh(3), setting.fresh(3), setting.fresh(4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["1.weight"], other["1.weight"])
    assert torch.equal(first["1.bias"], torch.zeros(5)), "as model.init says"
    assert setting.module is ready.module


def test_the_rates_of_a_network_whose_output_layer_is_excluded() -> None:
    ready = fitted(prune={"rate": 0.3, "output_rate": 0.1, "exclude": ["3.weight"]})
    assert rates_by_tensor(ready.run.prune, ready.prunable) == {"1.weight": 0.3}


def test_a_convolution_at_the_output_has_the_output_layers_rate(monkeypatch) -> None:
    def all_convolutional(input_shape, classes):
        return nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Conv1d(4, classes, 4), nn.Flatten())

    monkeypatch.setitem(globals(), "all_convolutional", all_convolutional)
    prune = {"rate": 0.3, "conv_rate": 0.2, "output_rate": 0.1}
    ready = fitted((2, 6), model=f"{__name__}:all_convolutional", prune=prune)
    assert rates_by_tensor(ready.run.prune, ready.prunable) == {"0.weight": 0.2, "2.weight": 0.1}


class Recurrent(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.conv, self.gru, self.out = norm(nn.Conv1d(1, 2, 3)), nn.GRU(8, 2), norm(nn.Linear(2, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.gru(self.conv(x[:, None]).flatten(1))[0])


def recurrent(classes: int) -> nn.Module:
    return Recurrent(classes)


SLOW = pytest.mark.filterwarnings("ignore:There is a performance drop")  # of vmap, which weight_norm is new to


@SLOW
def test_included_weights_lose_the_rate_of_the_layer_that_they_belong_to() -> None:
    prune = {"rate": 0.3, "conv_rate": 0.2, "output_rate": 0.1, "include": ["gru.weight_*", "*.original1"]}
    one = fitted(model=f"{__name__}:recurrent", prune=prune)
    assert rates_by_tensor(one.run.prune, one.prunable) == {
        "conv.parametrizations.weight.original1": 0.2,
        "gru.weight_ih_l0": 0.3,
        "gru.weight_hh_l0": 0.3,
        "out.parametrizations.weight.original1": 0.1,
    }


@SLOW
def test_the_biases_of_an_included_layer_are_zero_in_a_constant_start() -> None:
    one = fitted(model=f"{__name__}:recurrent", prune={"include": ["gru.weight_*", "*.original1"]})
    setting = ready_run(one, plan_execution(one, CPU), CPU)
    assert setting.biases == {"conv.bias", "gru.bias_ih_l0", "gru.bias_hh_l0", "out.bias"}
