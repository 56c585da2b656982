"""A planted ticket: it is the known network exactly, hidden in random values that nothing else changes."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tickets.config import parse_run
from tickets.data.planted import circle, helix, relu
from tickets.errors import InputError
from tickets.fitting import fit
from tickets.initial import initial_values
from tickets.models.mlp import mlp
from tickets.planted_networks import NETWORKS
from tickets.planting import planted_ticket, without_ticket
from tickets.source import load_source

SHAPES = {"circle": ((2,), 4), "relu": ((1,), 1), "helix": ((1,), 3)}
WIDTHS = {"circle": (20, 18, 3), "relu": (5, 7), "helix": (4, 35)}
DATA = {"circle": circle, "relu": relu, "helix": helix}
SMALL = {"examples": 60, "test": 20, "validation": 20}


def init(target: str | None, **options: Any) -> dict[str, Any]:
    return {"name": "planted", "biases": "scaled", "target": target, "base": "kaiming_normal", "exact": False} | options


def build_of(target: str) -> partial[nn.Sequential]:
    return partial(mlp, *SHAPES[target], WIDTHS[target])


def outputs(target: str, values: dict[str, Tensor], x: Tensor) -> Tensor:
    module = build_of(target)()
    module.load_state_dict(values)
    with torch.no_grad():
        return module(x)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("target", NETWORKS)
def test_the_planted_weights_alone_are_the_known_network(target: str, exact: bool) -> None:
    network = NETWORKS[target](len(WIDTHS[target]))
    x = DATA[target](examples=1, test=300).test_inputs
    for seed in (1, 2):
        start = init(target, exact=exact)
        ticket = planted_ticket(build_of(target), start, seed)
        values = initial_values(build_of(target), start, seed)
        assert all(torch.equal(values[name], value) for name, value in ticket.values.items())
        assert sum(int(mask.sum()) for mask in ticket.planting.masks.values()) == network.weights
        # By hand: the run's own values, with all other weights pruned.
        alone = {name: value * ticket.planting.masks.get(name, 1) for name, value in values.items()}
        scale = ticket.planting.scale
        assert exact == (scale == 1)
        expected = network(x)
        assert torch.allclose(outputs(target, alone, x).double() / scale, expected, rtol=0, atol=1e-5)
        assert torch.allclose(outputs(target, ticket.restricted(), x).double(), expected, rtol=0, atol=1e-5)
        assert not torch.allclose(outputs(target, values, x).double() / scale, expected, rtol=0, atol=1e-2)


def test_all_that_is_not_planted_is_what_the_base_draws() -> None:
    for base in ("kaiming_normal", "glorot_uniform", "pytorch"):
        for biases in ("scaled", "zeros", "model"):
            start = init("circle", base=base, biases=biases)
            ticket = planted_ticket(build_of("circle"), start, 5)
            random = initial_values(build_of("circle"), {"name": base, "biases": biases}, 5)
            for name, mask in ticket.planting.masks.items():
                assert torch.equal(ticket.values[name][~mask], random[name][~mask])
                assert int((ticket.values[name] != random[name]).sum()) == int(mask.sum())
            hosts = [mask.any(1) for mask in ticket.planting.masks.values()]
            for number, host in zip((1, 3, 5), hosts, strict=False):
                name = f"{number}.bias"
                assert torch.equal(ticket.values[name][~host], random[name][~host])
                assert without_ticket(start) == {"name": base, "biases": biases}


def test_a_unit_hosts_in_each_layer_what_the_one_before_it_passes_on() -> None:
    """relu in 5 and 7 units: a path of three weights, as large as the random ones that were there, and positive."""
    paths = set()
    for seed in range(6):
        ticket = planted_ticket(build_of("relu"), init("relu"), seed)
        random = initial_values(build_of("relu"), "kaiming_normal", seed)
        first, second, last = (mask.nonzero().tolist() for mask in ticket.planting.masks.values())
        ((host, _),), ((next_host, before),), ((_, end),) = first, second, last
        assert (before, end) == (host, next_host)
        paths.add((host, next_host))
        product = 1.0
        for name, mask in ticket.planting.masks.items():
            (planted,), (was,) = ticket.values[name][mask].tolist(), random[name][mask].tolist()
            assert planted == pytest.approx(abs(was), rel=1e-6)
            product *= planted
        assert ticket.planting.scale == pytest.approx(product, rel=1e-6)
        assert float(ticket.values["1.bias"][host]) == 0
    assert len(paths) > 2, "the places depend on the seed"


@pytest.mark.parametrize("target", ["circle", "helix"])
def test_the_magnitudes_do_not_betray_a_planted_weight(target: str) -> None:
    hidden, exact = (planted_ticket(build_of(target), init(target, exact=exact), 3) for exact in (False, True))
    random = initial_values(build_of(target), "kaiming_normal", 3)
    ratios = []
    for name, mask in hidden.planting.masks.items():
        block = torch.zeros_like(mask)
        block[mask.any(1)] = mask.any(0)  # all weights between hosts; the planted ones among them are not 0
        was = random[name][mask].double().square().mean().sqrt()
        assert float(hidden.values[name][mask].double().square().mean().sqrt() / was) == pytest.approx(1, rel=1e-6)
        ratios.append(float(exact.values[name][mask].double().square().mean().sqrt() / was))
    assert ratios == pytest.approx([ratios[0]] * len(ratios), rel=1e-6), "one more factor, the same for every layer"
    assert ratios[0] ** len(ratios) == pytest.approx(1 / hidden.planting.scale, rel=1e-6)


def test_the_biases_of_hosts_are_scaled_as_what_they_add_to() -> None:
    ticket = planted_ticket(build_of("circle"), init("circle"), 1)
    masks = list(ticket.planting.masks.items())
    network = NETWORKS["circle"](3)
    scale = 1.0
    for (name, mask), (weight, bias) in zip(masks, network.layers, strict=True):
        planted = ticket.values[name][mask].double().square().mean().sqrt()
        scale *= float(planted / weight[weight != 0].square().mean().sqrt())
        own = ticket.values[name.replace("weight", "bias")].double()
        there = own if name == "7.weight" else own[mask.any(1)]
        assert sorted((there / scale).tolist()) == pytest.approx(sorted(bias.tolist()), abs=1e-5)
    assert scale == pytest.approx(ticket.planting.scale, rel=1e-6)


def fitted(target: str | None = "circle", data: str = "circle", **changes: Any) -> Any:
    table: dict[str, Any] = {
        "name": "tiny",
        "data": {"name": data, **SMALL},
        "model": {"name": "mlp", "widths": [20, 18, 3], "init": {"name": "planted", "target": target}},
        "train": {"batch_size": 10, "steps": 4, "loss": "cross_entropy" if data == "circle" else "mse"},
        **changes,
    }
    run = parse_run(table)
    return fit(run, load_source(run.data, None))


def test_a_control_draws_anew_without_a_ticket() -> None:
    one = fitted(arms=["ticket", "reinit", "random_mask_reinit"])
    assert one.trial.notes == (
        "reinit, random_mask_reinit: random values alone; a fresh draw plants no ticket (model.init = 'planted')",
    )
    assert fitted(arms=["ticket", "random_mask"]).trial.notes == ()
    plain = initial_values(one.build, {"name": "kaiming_normal", "biases": "scaled"}, 9)
    assert all(torch.equal(one.fresh_draw(9)[name], value) for name, value in plain.items())
    changed = sum(int((one.fresh(9)[name] != value).sum()) for name, value in plain.items() if value.ndim == 2)
    assert changed == NETWORKS["circle"](3).weights


MLP = {"name": "mlp", "widths": [20, 18, 3]}


def model(widths: list[int], **options: Any) -> dict[str, Any]:
    return {"name": "mlp", "widths": widths, "init": {"name": "planted", "target": "circle", **options}}


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {"model": model([20, 15, 3])},
            [
                "model.widths = [20, 15, 3]: too narrow for model.init.target = 'circle', which needs at least "
                "[4, 16, 1] in 3 hidden layers"
            ],
        ),
        (
            {"model": model([3, 3], target="helix")},
            [
                "model.init.target = 'helix': this network has 1 inputs and 3 outputs, and the model for these data "
                "2 and 4; write data = 'helix', or the target of these data",
                "model.widths = [3, 3]: too narrow for model.init.target = 'helix', which needs at least [1, 30] in 2 "
                "hidden layers",
            ],
        ),
        (
            {"model": model([])},
            [
                "model.init = \"planted\": the network for 'circle' needs a hidden layer or more, and this model has "
                "none; give model.widths, such as [100, 100, 100]"
            ],
        ),
        (
            {"model": {"name": "test_planting:tanh_net", "init": {"name": "planted", "target": "circle"}}},
            [
                'model.init = "planted": a network is planted in a chain of Linear layers with biases and ReLU between '
                'them, and this model is none; write model = { name = "mlp", widths = [100, 100, 100] }, or another '
                "init"
            ],
        ),
        (
            {"model": {**MLP, "init": "dct"}, "probes": ["planted"]},
            [
                "probe 'planted': no ticket is planted in this run (model.init = 'dct'); write model.init = { name = "
                '"planted", target = "circle" } with data = "circle" (or relu, helix), or leave the probe out'
            ],
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_training(changes: dict[str, Any], lines: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        fitted(**changes)
    assert list(refused.value.problems) == lines


def test_a_regression_needs_its_loss() -> None:
    with pytest.raises(InputError) as refused:
        fitted("relu", "relu", train={"batch_size": 10, "steps": 4})
    assert any('write loss = "mse" (regression)' in problem for problem in refused.value.problems)


def test_the_target_must_be_named() -> None:
    for start in ("planted", {"name": "planted", "exact": True}):
        with pytest.raises(InputError) as refused:
            parse_run({"name": "tiny", "data": "circle", "model": {**MLP, "init": start}})
        (problem,) = refused.value.problems
        assert problem.startswith("model.init = ")
        assert "needs a target, the network that is planted: { name = " in problem


def tanh_net(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(2, 20), nn.Tanh(), nn.Linear(20, classes))


def test_scale_of_random_values_is_that_of_kaiming() -> None:
    """A network of zeros would hide nothing: the planted weights are as large as those that they replace."""
    values = initial_values(partial(mlp, (2,), 4, (50, 60, 70)), init("circle"), 0)
    assert float(values["3.weight"].std()) == pytest.approx(math.sqrt(2 / 50), rel=0.1)
