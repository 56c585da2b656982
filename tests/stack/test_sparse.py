"""Training by the surviving weights alone, against the same masks with every weight held."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from made_workloads import workload
from torch import nn

from tickets.errors import InputError
from tickets.stack import sparse
from tickets.stack.networks import share_left, stack_networks
from tickets.stack.strategies import choose
from tickets.stack.wiring import wire

CPU = torch.device("cpu")
CLOSE = {"rtol": 1e-9, "atol": 1e-11}


def no_bias() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(6, 8, bias=False), nn.ReLU(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3, bias=False)
    )


def linear() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 3))


def no_relu() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3))


def pooled() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 3, bias=False)
    )


def unpadded() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(16, 3),
    )  # fmt: skip


def oblong() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 3, (3, 2), padding=1), nn.ReLU(),
        nn.Conv2d(3, 5, (2, 1)), nn.MaxPool2d(kernel_size=1), nn.ReLU(),
        nn.Conv2d(5, 4, 2, padding=(1, 0)), nn.ReLU(), nn.MaxPool2d(4),
        nn.Conv2d(4, 4, 2, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3),
    )  # fmt: skip


def twice_pooled() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d((2, 2)),
        nn.Conv2d(5, 4, 1), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3),
    )  # fmt: skip


def assert_same(one, other) -> None:
    for name, value in one.stack.parameters.items():
        torch.testing.assert_close(other.stack.parameters[name], value, **CLOSE)
    assert one.stack.optimizer.keys() == other.stack.optimizer.keys()
    for state, tensors in one.stack.optimizer.items():
        for name, value in tensors.items():
            torch.testing.assert_close(other.stack.optimizer[state][name], value, **CLOSE)
    torch.testing.assert_close(other.curves.values, one.curves.values, **CLOSE)


@pytest.mark.parametrize("density", [0.0, 0.02, 0.3, 1.0])
@pytest.mark.parametrize("build", [no_bias, linear])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_at_any_density_it_is_the_dense_masked_training(bench, build, density: float, optimizer: str) -> None:
    recipe, examples = bench.recipe(optimizer=optimizer, weight_decay=0.02), bench.examples((6,), torch.float64)
    start = bench.stack(build, 3, density=density, dtype=torch.float64)
    assert_same(
        bench.train(build, start, recipe, examples, "looped"), bench.train(build, start, recipe, examples, "sparse")
    )


@pytest.mark.parametrize("density", [0.0, 0.1, 0.4, 1.0])
@pytest.mark.parametrize("build", [pooled, unpadded, oblong, twice_pooled])
def test_so_it_is_with_convolutions(bench, build, density: float) -> None:
    examples = bench.examples((2, 4, 4), torch.float64)
    for optimizer, batch_size in (("adam", 8), ("sgd", 43)):
        recipe = bench.recipe(optimizer=optimizer, weight_decay=0.02, batch_size=batch_size)
        start = bench.stack(build, 2, density=density, dtype=torch.float64)
        assert_same(
            bench.train(build, start, recipe, examples, "looped"), bench.train(build, start, recipe, examples, "sparse")
        )


def test_of_equal_pixels_the_first_is_pooled(bench) -> None:
    values, masks = bench.networks(pooled, 2, dtype=torch.float64)
    for each in values:
        each["0.weight"].zero_()
        each["0.bias"].fill_(1.0)
    start = stack_networks(values, masks, list(values[0]))
    examples, recipe = bench.examples((2, 4, 4), torch.float64), bench.recipe(steps=1)
    looped, sparse = (bench.train(pooled, start, recipe, examples, strategy) for strategy in ("looped", "sparse"))
    assert_same(looped, sparse)
    assert sparse.stack.parameters["0.weight"].any(), "it has moved"


def test_networks_with_more_and_less_left_and_a_tensor_that_is_not_pruned(bench) -> None:
    values, masks = bench.networks(bench.mlp, 4, dtype=torch.float64)
    parts = [0.0, 0.1, 0.5, 0.9]
    generator = torch.Generator().manual_seed(3)
    for each, density in zip(masks, parts, strict=True):
        del each["5.weight"]  # excluded from pruning
        each["1.weight"] = torch.rand(each["1.weight"].shape, generator=generator) < density
    start = stack_networks(values, masks, [name for name, _ in bench.mlp().named_parameters()])
    examples, seeds = bench.examples((6,), torch.float64), bench.seeds(4, order=2)
    whole, sparse = (
        bench.train(bench.mlp, start, bench.recipe(), examples, strategy, seeds=seeds)
        for strategy in ("looped", "sparse")
    )
    assert_same(whole, sparse)


def test_networks_with_the_same_masks_are_wired_once(bench, monkeypatch) -> None:
    values, masks = bench.networks(bench.mlp, 4, dtype=torch.float64)
    start = stack_networks(values, [masks[0], masks[1], masks[0], masks[1]], list(values[0]))
    wired = []

    def watched(masks, columns):
        wired.append(masks)
        return wire(masks, columns)

    monkeypatch.setattr(sparse, "wire", watched)
    examples = bench.examples((6,), torch.float64)
    looped, together = (
        bench.train(bench.mlp, start, bench.recipe(), examples, strategy) for strategy in ("looped", "sparse")
    )
    assert_same(looped, together)
    assert len(wired) == 2


def test_a_state_goes_on_from_where_it_stood(bench) -> None:
    recipe, examples = bench.recipe(optimizer="adam", warmup_steps=4), bench.examples((6,), torch.float64)
    start = bench.stack(bench.mlp, 3, dtype=torch.float64)
    kept = bench.train(bench.mlp, start, recipe, examples, "layered", keep_step=6).kept
    assert_same(
        bench.train(bench.mlp, kept, recipe, examples, "layered"),
        bench.train(bench.mlp, kept, recipe, examples, "sparse"),
    )
    # A control that starts late without a state counts Adam's steps from its own first.
    without = dataclasses.replace(kept, optimizer={})
    assert_same(
        bench.train(bench.mlp, without, recipe, examples, "layered"),
        bench.train(bench.mlp, without, recipe, examples, "sparse"),
    )


def test_examples_are_augmented_as_they_are_elsewhere(bench) -> None:
    def shifted(inputs, generator):
        return inputs + torch.randn(1, generator=generator, dtype=inputs.dtype)

    examples = bench.examples((6,), torch.float64, augment=shifted)
    start, seeds = bench.stack(bench.mlp, 4, dtype=torch.float64), bench.seeds(2) * 2
    layered, sparse = (
        bench.train(bench.mlp, start, bench.recipe(), examples, strategy, seeds=seeds)
        for strategy in ("layered", "sparse")
    )
    assert_same(layered, sparse)


def test_more_examples_than_a_tile_and_batches_that_fill_no_register(bench) -> None:
    examples = bench.examples((6,), torch.float64)
    many = dataclasses.replace(
        examples, test_inputs=examples.test_inputs.repeat(40, 1), test_labels=examples.test_labels.repeat(40)
    )
    start = bench.stack(bench.mlp, 2, dtype=torch.float64)
    for batch_size in (1, 7, 17, 43):
        recipe = bench.recipe(batch_size=batch_size, optimizer="sgd", momentum=0.5)
        layered, sparse = (
            bench.train(bench.mlp, start, recipe, many, strategy, chunk=1000) for strategy in ("layered", "sparse")
        )
        assert_same(layered, sparse)


def test_in_single_precision_the_first_steps_agree_and_nothing_given_is_changed(bench) -> None:
    start = bench.stack(bench.mlp)
    before = {name: value.clone() for name, value in start.parameters.items()}
    recipe = bench.recipe(steps=5)
    layered, sparse = (
        bench.train(bench.mlp, start, recipe, bench.examples(), strategy) for strategy in ("layered", "sparse")
    )
    for name, value in layered.stack.parameters.items():
        assert sparse.stack.parameters[name].dtype == torch.float32
        torch.testing.assert_close(sparse.stack.parameters[name], value, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(start.parameters[name], value) for name, value in before.items())


def test_ticks_count_every_step_of_every_network(bench) -> None:
    ticks = []
    start = bench.stack(bench.mlp, 5)
    bench.train(bench.mlp, start, bench.recipe(), bench.examples(), "sparse", lanes=2, tick=ticks.append)
    assert sum(ticks) == 5 * 15


@pytest.mark.parametrize(("machine", "found"), [("x86_64", ("sparse", 0.0)), ("arm64", ("layered", 0.5))])
def test_when_it_is_chosen(bench, monkeypatch, machine: str, found: tuple[str, float]) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)

    def chosen(module: nn.Module, device: torch.device = CPU, wanted: str = "auto") -> tuple[str, float]:
        choice = choose(workload(module, device=device), wanted)
        return choice.strategy, choice.takes_over.get("sparse", 0.0)

    assert chosen(bench.mlp()) == found
    for batch_size, up_to in ((1, 0.75 / 16), (8, 0.375), (16, 0.75), (24, 0.5625), (64, 0.75)):
        images = choose(workload(bench.convnet(), (1, 4, 4), batch_size=batch_size))
        assert (images.strategy, images.takes_over.get("sparse", 0.0)) == (
            "looped",
            up_to if machine == "x86_64" else 0.0,
        )
    assert chosen(bench.mlp(), torch.device("cuda")) == ("layered", 0.0)
    assert chosen(bench.dropnet()) == chosen(no_relu()) == ("layered", 0.0)
    assert chosen(bench.mlp(), wanted="layered") == ("layered", 0.0)
    assert chosen(bench.mlp(), wanted="sparse") == ("sparse", 0.0)


@pytest.mark.parametrize("name", ["dropnet", "no_relu"])
def test_where_it_cannot_be(bench, name: str) -> None:
    module = no_relu() if name == "no_relu" else bench.dropnet()
    message = (
        r"compute\.strategy = 'sparse': the model must have Conv2d layers .* or be an nn\.Sequential of Linear layers"
    )
    with pytest.raises(InputError, match=message):
        choose(workload(module), "sparse")


def test_the_share_that_is_left_is_that_of_the_fullest_network() -> None:
    weights = {"a.weight": torch.zeros(2, 4, 5), "a.bias": torch.zeros(2, 4), "b.weight": torch.zeros(2, 2, 4)}
    mask = torch.zeros(2, 4, 5, dtype=torch.bool)
    mask[0, :2], mask[1, :1] = True, True
    stack = stack_networks(
        [{name: value[index] for name, value in weights.items()} for index in (0, 1)],
        [{"a.weight": mask[index]} for index in (0, 1)],
        list(weights),
    )
    assert share_left(stack, {}) == (10 + 8) / 28, "b.weight is not pruned"
    assert share_left(stack, {"a.weight": 3}) == (3 * 10 + 8) / (3 * 20 + 8), "each is used so often"


def test_columns_past_the_batch_are_nothing(bench) -> None:
    """The loss of a batch of one: its slope is softmax - one-hot, and no other column has one."""
    values = {"1.weight": torch.zeros(1, 3, 6), "1.bias": torch.log(torch.tensor([[0.5, 0.25, 0.25]]))}
    start = stack_networks(
        [{name: value[0] for name, value in values.items()}],
        [{"1.weight": torch.ones(3, 6, dtype=torch.bool)}],
        list(values),
    )
    recipe = bench.recipe(optimizer="sgd", learning_rate=1.0, batch_size=1, steps=1)
    examples = bench.examples()
    trained = bench.train(linear, start, recipe, examples, "sparse")
    moved = (trained.stack.parameters["1.bias"] - values["1.bias"])[0].numpy()
    probability = np.array([0.5, 0.25, 0.25])
    possible = [np.eye(3)[label] - probability for label in range(3)]
    assert any(np.allclose(moved, one, atol=1e-6) for one in possible)


@pytest.mark.parametrize("batch_size", [8, 100])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("width", [5, 99, 259])
def test_units_that_start_equal_stay_equal_to_the_bit(bench, width: int, optimizer: str, batch_size: int) -> None:
    """Every unit's numbers are computed in the same way, wherever it stands and however many there are."""

    def build() -> nn.Sequential:
        return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3))

    values = {name: torch.full_like(parameter, 0.1) for name, parameter in build().named_parameters()}
    masks = {name: torch.ones_like(value, dtype=torch.bool) for name, value in values.items() if value.dim() == 2}
    start = stack_networks([values], [masks], list(values))
    recipe = bench.recipe(optimizer=optimizer, steps=300, batch_size=batch_size, learning_rate=0.003)
    examples = bench.examples((64,))
    many = dataclasses.replace(
        examples,
        train_inputs=torch.cat([examples.train_inputs * scale for scale in (1, 2, 3)]),
        train_labels=examples.train_labels.repeat(3),
    )
    trained = bench.train(build, start, recipe, many, "sparse").stack.parameters
    for layer, following in (("0", "2"), ("2", "4")):
        incoming, outgoing = trained[f"{layer}.weight"][0], trained[f"{following}.weight"][0]
        assert (incoming == incoming[:1]).all()
        assert (outgoing == outgoing[:, :1]).all()
        bias = trained[f"{layer}.bias"][0]
        assert (bias == bias[0]).all()
    assert not torch.equal(trained["0.weight"][0], values["0.weight"]), "they did train"
