"""A run made ready: what fits, what does not, and how it will be computed."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tickets.config import parse_run
from tickets.data import Dataset, Examples, load_dataset, split
from tickets.errors import InputError
from tickets.setting import Fitted, Plan, fit, make_setting, on_device, plan_execution
from tickets.source import Source, load_source
from tickets.stack.memory import (
    EVALUATION_BYTES,
    KEPT_BY_THE_ALLOCATOR,
    Training,
    activation_bytes,
    ranking_bytes,
    round_bytes,
    sizes_of,
    training_bytes,
)
from tickets.stack.networks import stack_networks
from tickets.stack.strategies import SPARSE_UP_TO

CPU = torch.device("cpu")


def drawing_net(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Its constructor draws from every global generator."""
    np.random.random()
    return nn.Sequential(nn.Linear(input_shape[0], 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, classes))


def source(shape: tuple[int, ...] = (6,)) -> Source:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, *shape, generator=generator)
    labels = torch.arange(40) % 3
    parts = [part for cut in (slice(24), slice(24, 30), slice(30, 40)) for part in (inputs[cut], labels[cut])]
    return Source("made", "00", Examples(*parts, classes=3))


def fitted(shape: tuple[int, ...] = (6,), **changes: Any) -> Fitted:
    table: dict[str, Any] = {
        "name": "tiny",
        "data": "digits",
        "model": {"name": "mlp", "widths": [5]},
        "train": {"batch_size": 8, "steps": 4},
    }
    return fit(parse_run({**table, **changes}), source(shape))


def test_a_source_is_the_data_set_split_and_known_by_its_contents() -> None:
    run = parse_run({"name": "t", "data": {"name": "digits", "validation": 97}, "model": "mlp"})
    loaded, dataset = load_source(run.data, None), load_dataset({}, "digits", None)
    assert (loaded.name, loaded.sha256) == ("digits", dataset.sha256)
    assert torch.equal(loaded.examples.train_inputs, split(dataset, 97).train_inputs)
    assert [len(loaded.examples.train_labels), len(loaded.examples.validation_labels)] == [1200, 97]


KEPT = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))


def kept_data() -> Dataset:
    """A data set that its function has kept."""
    labels = torch.arange(20) % 3
    return Dataset("kept", KEPT, labels, KEPT[:5], labels[:5], 3, "00")


def test_a_users_data_set_is_not_written_to() -> None:
    before = KEPT.clone()
    run = parse_run({"name": "t", "data": {"name": f"{__name__}:kept_data", "validation": 5}, "model": "mlp"})
    loaded = load_source(run.data, None)
    assert torch.equal(KEPT, before)
    assert torch.equal(loaded.examples.train_inputs, split(kept_data(), 5).train_inputs)


def test_a_fitted_run_has_its_template_and_its_prunable_tensors() -> None:
    ready = fitted(prune={"exclude": ["1.*"]})
    assert [tuple(p.shape) for p in ready.module.parameters()] == [(5, 6), (5,), (3, 5), (3,)]
    assert [tensor.name for tensor in ready.prunable] == ["3.weight"]
    assert ready.module.training


def test_fitting_leaves_the_global_generators_as_they_were() -> None:
    before, numpys = torch.get_rng_state(), np.random.get_state()
    ready = fitted(model={"name": f"{__name__}:drawing_net"})
    setting = make_setting(ready, plan_execution(ready, CPU), CPU)
    setting.fresh(3)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpys[1])
    assert np.random.get_state()[2] == numpys[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train": {"batch_size": 25}},
            r"train\.batch_size = 25: must be at most 24, the training examples of 'made' beside "
            r"data\.validation = 200",
        ),
        ({"prune": {"exclude": ["fc*"]}}, r"prune\.exclude: 'fc\*' matches none of this model's weights"),
        ({"prune": {"exclude": ["*"]}}, "model: nothing is left to prune"),
        ({"model": "conv2"}, r"model 'conv2': the data has examples of shape \(6,\)"),
        ({"prune": {"score": "math:no_such"}}, "'math:no_such': module 'math' has no function 'no_such'"),
    ],
)
def test_what_does_not_fit_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fitted(**changes)


def test_all_that_does_not_fit_is_said_at_once() -> None:
    with pytest.raises(InputError) as caught:
        fitted(train={"batch_size": 25}, prune={"exclude": ["fc*", "gone"], "score": "math:no_such"})
    keys = [problem.split(":")[0].split(" =")[0] for problem in caught.value.problems]
    assert keys == ["train.batch_size", "'math", "prune.exclude", "prune.exclude"]


def test_a_batch_may_be_all_there_is() -> None:
    assert fitted(train={"batch_size": 24}).run.train.batch_size == 24


def test_the_plan_has_a_lane_for_each_thread() -> None:
    plan = plan_execution(fitted(compute={"threads": 3, "strategy": "layered"}), CPU)
    assert (plan.strategy, plan.reason) == ("layered", "set by compute.strategy")
    assert (plan.lanes, plan.threads) == (3, 3)
    dropout = plan_execution(fitted(model=f"{__name__}:drawing_net", compute={"threads": 3}), CPU)
    assert (dropout.strategy, dropout.lanes, dropout.threads) == ("looped", 1, 3)
    wanted = plan_execution(fitted(compute={"threads": 2, "strategy": "looped"}), CPU)
    assert (wanted.strategy, wanted.reason, wanted.lanes) == ("looped", "set by compute.strategy", 2)


@pytest.fixture(params=["x86_64", "arm64"])
def up_to(request, monkeypatch) -> float:
    """The density up to which the processor's runs are sparse; below 1 they are layered before."""
    monkeypatch.setattr("platform.machine", lambda: request.param)
    return 1.0 if request.param == "x86_64" else SPARSE_UP_TO


@pytest.mark.parametrize(
    ("sparse_up_to", "kept", "found"),
    [(0.5, 0.0, "sparse"), (0.5, 0.5, "sparse"), (0.5, 0.75, "looped"), (0.0, 0.75, "looped"), (0.0, 0.0, "looped")],
)
def test_a_stack_is_sparse_only_where_the_plan_says_so(sparse_up_to: float, kept: float, found: str) -> None:
    mask = torch.arange(8).view(2, 4) < 8 * kept
    stack = stack_networks([{"weight": torch.ones(2, 4)}], [{"weight": mask}], ["weight"])
    assert Plan("looped", "", 1, 1, 1, sparse_up_to).strategy_for(stack, {}) == found


def test_a_model_of_convolutions_is_sparse_once_few_multiplications_are_left(monkeypatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    ready = fitted((3, 8, 8), model="conv2")
    plan = plan_execution(ready, CPU)
    setting = make_setting(ready, plan, CPU)
    assert (plan.strategy, plan.sparse_up_to) == ("looped", 0.375)
    assert setting.pixels == {
        "conv1.weight": 64,
        "conv2.weight": 64,
        "fc1.weight": 1,
        "fc2.weight": 1,
        "output.weight": 1,
    }
    assert setting.has_images
    theta0 = setting.fresh(0)

    def found(convolutions: float, others: float) -> str:
        masks = {}
        for tensor in ready.prunable:
            weights = theta0[tensor.name]
            kept = round((convolutions if tensor.convolution else others) * weights.numel())
            masks[tensor.name] = (torch.arange(weights.numel()) < kept).view(weights.shape)
        return plan.strategy_for(stack_networks([theta0], [masks], list(setting.parameters)), setting.pixels)

    # 2.8 million multiplications an example, 0.3 million of them outside the convolutions.
    assert found(0.45, 0.0) == "looped"
    assert found(0.3, 1.0) == "looped"
    assert found(0.3, 0.9) == "sparse"


def test_a_model_of_linear_layers_has_no_images() -> None:
    assert not make_setting(fitted(), plan_execution(fitted(), CPU), CPU).has_images


def most_at_once(
    ready: Fitted, bound: int, lanes: int, up_to: float, *, replicates: int = 5, networks: int = 15
) -> int:
    """What the bound leaves, beside an evaluation and what a round keeps, over what a network takes in training."""
    sizes = sizes_of(ready.module, ready.prunable, ready.run.train)
    kept = round_bytes(sizes, replicates, networks, rounds=16, rewinds=False) + ranking_bytes(ready.prunable, "layer")
    activations = activation_bytes(ready.module, (6,))
    dense = training_bytes("layered", sizes, 8, activations, 24)
    sparse = training_bytes("sparse", sizes, 8, activations, 24, up_to)
    each = sparse if up_to == 1.0 else Training(max(dense.each, sparse.each), sparse.lane)
    left = int(bound / KEPT_BY_THE_ALLOCATOR) - EVALUATION_BYTES["cpu"] - kept
    return (left - lanes * each.lane) // each.each


def test_workers_share_the_threads_and_what_is_free(monkeypatch, up_to: float) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 8)
    monkeypatch.setattr("tickets.setting.free_bytes", lambda device: 10**9)
    ready = fitted()
    for workers, threads in [(1, 8), (2, 4), (3, 2), (20, 1)]:
        plan = plan_execution(ready, CPU, workers)
        assert plan.threads == plan.lanes == threads
        assert plan.networks_at_once == most_at_once(ready, 10**9 // 2 // workers, threads, up_to)


def test_the_memory_that_the_config_allows_bounds_the_networks(up_to: float) -> None:
    compute, bound = {"memory_gib": 0.02, "threads": 2}, int(0.02 * 2**30)
    ready = fitted(compute=compute)
    assert plan_execution(ready, CPU, workers=7).networks_at_once == most_at_once(ready, bound, 2, up_to)
    cohorts = fitted(compute=compute, cohort_size=2, arms=["ticket", {"name": "reinit", "draws": 3}])
    wanted = most_at_once(cohorts, bound, 2, up_to, replicates=2, networks=8)
    assert plan_execution(cohorts, CPU).networks_at_once == wanted
    assert plan_execution(fitted(compute={"memory_gib": 1e-9}), CPU).networks_at_once == 1


def test_what_a_round_keeps_is_not_asked_of_another_devices_memory(monkeypatch) -> None:
    free = {"cpu": 40 * 2**20, "cuda": 3 * 2**30}
    monkeypatch.setattr("tickets.setting.free_bytes", lambda device: free[device.type])
    monkeypatch.setattr("tickets.setting.round_bytes", lambda *arguments, **named: 10**12)
    assert plan_execution(fitted(), CPU).networks_at_once == 1
    assert plan_execution(fitted(), torch.device("cuda")).networks_at_once > 100


def test_counting_units_takes_memory_too() -> None:
    few, many = (
        plan_execution(fitted(compute={"memory_gib": 0.02}, store={"units": units}), CPU).networks_at_once
        for units in (True, False)
    )
    assert few < many


def test_a_setting() -> None:
    ready = fitted(model={"name": "mlp", "widths": [5], "init": "glorot_normal"})
    plan = plan_execution(ready, CPU)
    setting = make_setting(ready, plan, CPU)
    assert setting.parameters == ("1.weight", "1.bias", "3.weight", "3.bias")
    assert setting.biases == {"1.bias", "3.bias"}
    assert setting.activations == activation_bytes(ready.module, (6,))
    assert setting.plan is plan
    first, again, other = setting.fresh(3), setting.fresh(3), setting.fresh(4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["1.weight"], other["1.weight"])
    assert torch.equal(first["1.bias"], torch.zeros(5)), "as model.init says"
    assert setting.module is ready.module


def test_the_rates_of_a_network_whose_output_layer_is_excluded() -> None:
    ready = fitted(prune={"rate": 0.3, "output_rate": 0.1, "exclude": ["3.weight"]})
    assert make_setting(ready, plan_execution(ready, CPU), CPU).rates() == {"1.weight": 0.3}


def test_a_convolution_at_the_output_has_the_output_layers_rate(monkeypatch) -> None:
    def all_convolutional(input_shape, classes):
        return nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Conv1d(4, classes, 4), nn.Flatten())

    monkeypatch.setitem(globals(), "all_convolutional", all_convolutional)
    prune = {"rate": 0.3, "conv_rate": 0.2, "output_rate": 0.1}
    ready = fitted((2, 6), model=f"{__name__}:all_convolutional", prune=prune)
    assert make_setting(ready, plan_execution(ready, CPU), CPU).rates() == {"0.weight": 0.2, "2.weight": 0.1}


def test_examples_on_a_device_keep_all_that_is_no_tensor() -> None:
    def same(batch, generator):
        return batch

    given = dataclasses.replace(source().examples, augment=same)
    moved = on_device(given, torch.device("meta"))
    tensors = [field.name for field in dataclasses.fields(given) if isinstance(getattr(given, field.name), Tensor)]
    assert len(tensors) == 6
    assert all(getattr(moved, name).device.type == "meta" for name in tensors)
    assert (moved.classes, moved.augment) == (3, same)
    assert given.train_inputs.device == CPU


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
    assert make_setting(one, plan_execution(one, CPU), CPU).rates() == {
        "conv.parametrizations.weight.original1": 0.2,
        "gru.weight_ih_l0": 0.3,
        "gru.weight_hh_l0": 0.3,
        "out.parametrizations.weight.original1": 0.1,
    }


@SLOW
def test_the_biases_of_an_included_layer_are_zero_in_a_constant_start() -> None:
    one = fitted(model=f"{__name__}:recurrent", prune={"include": ["gru.weight_*", "*.original1"]})
    setting = make_setting(one, plan_execution(one, CPU), CPU)
    assert setting.biases == {"conv.bias", "gru.bias_ih_l0", "gru.bias_hh_l0", "out.bias"}
