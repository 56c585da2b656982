"""The choice of a strategy, and what dropout may and may not depend on."""

from __future__ import annotations

import dataclasses
import functools
import re

import pytest
import torch
from made_workloads import workload
from torch import nn
from torch.nn import functional

from tickets.catalogue import STRATEGIES
from tickets.errors import InputError
from tickets.stack.feed import NetworkSeeds
from tickets.stack.looped import Looped
from tickets.stack.networks import stack_networks
from tickets.stack.stepwise import Stepwise
from tickets.stack.strategies import choose, strategy_named
from tickets.stack.training import train

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def chosen(module: nn.Module, shape: tuple[int, ...] = (6,), device: torch.device = CPU, wanted: str = "auto"):
    choice = choose(workload(module, shape, device, threads=4), wanted)
    return choice.strategy, choice.reason, choice.lanes


def test_a_chain_of_linear_relu_and_dropout_is_layered(bench) -> None:
    reason = "the model is a chain of Linear, ReLU and Dropout layers"
    assert chosen(bench.dropnet()) == ("layered", reason, 4)
    assert chosen(bench.dropnet(), device=CUDA) == chosen(bench.mlp(), device=CUDA) == ("layered", reason, 1)


def test_without_dropout_on_a_cpu_it_is_sparse(bench, monkeypatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    assert chosen(bench.mlp()) == ("sparse", "the model is a chain of Linear and ReLU layers, on an x86 CPU", 4)


def test_convolutions_on_a_cpu_are_looped_and_on_an_accelerator_vectorised(bench) -> None:
    assert chosen(bench.convnet(), (1, 4, 4)) == ("looped", "convolutions on a CPU", 4)
    assert chosen(bench.convnet(), (1, 4, 4), CUDA) == ("vectorised", "vmap trains this model", 1)


def test_any_other_model_is_vectorised() -> None:
    module = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3))
    assert chosen(module) == ("vectorised", "vmap trains this model", 4)


@pytest.mark.parametrize("device", [CPU, CUDA])
def test_any_other_model_that_draws_random_numbers_is_looped_in_one_lane(bench, device: torch.device) -> None:
    strategy, reason, lanes = chosen(bench.noisenet(), device=device)
    assert (strategy, lanes) == ("looped", 1)
    assert reason.startswith("vmap cannot train this model: vmap: called random operation while in randomness")
    assert "\n" not in reason


class DataDependent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        return self.layer(x) if x.sum().item() < 1e9 else self.layer(-x)


def test_a_model_that_vmap_cannot_run_is_looped() -> None:
    strategy, reason, lanes = chosen(DataDependent())
    assert (strategy, lanes) == ("looped", 1)
    assert reason.startswith("vmap cannot train this model: vmap: It looks like you're calling .item()")


def test_a_wanted_strategy_is_taken(bench) -> None:
    for wanted in STRATEGIES:
        assert chosen(bench.mlp(), wanted=wanted) == (wanted, "set by compute.strategy", 4)
    assert chosen(bench.noisenet(), wanted="looped") == ("looped", "set by compute.strategy", 1)


def test_a_wanted_strategy_that_cannot_be_is_refused(bench) -> None:
    message = "compute.strategy = 'layered': the model must be an nn.Sequential of Flatten, Linear, ReLU and Dropout; "
    message += "use 'auto'"
    with pytest.raises(InputError, match=re.escape(message)):
        chosen(bench.convnet(), (1, 4, 4), wanted="layered")
    message = r"compute\.strategy = 'vectorised': vmap cannot train this model: vmap: called random .*; use 'auto'"
    for module in (bench.noisenet(), bench.dropnet()):
        with pytest.raises(InputError, match=message):
            chosen(module, wanted="vectorised")


def test_dropout_that_is_looped_by_hand_has_one_lane(bench) -> None:
    assert chosen(bench.dropnet(), wanted="looped") == ("looped", "set by compute.strategy", 1)
    assert chosen(bench.dropnet(), wanted="layered") == ("layered", "set by compute.strategy", 4)
    assert chosen(bench.mlp(), wanted="looped") == ("looped", "set by compute.strategy", 4)


def test_the_template_is_left_alone(bench) -> None:
    template = bench.mlp()
    before = {name: value.clone() for name, value in template.state_dict().items()}
    for strategy in STRATEGIES:
        bench.train(lambda: template, bench.stack(bench.mlp), bench.recipe(), bench.examples(), strategy)
        choose(workload(template))
    assert all(torch.equal(template.state_dict()[name], value) for name, value in before.items())
    assert all(parameter.grad is None for parameter in template.parameters())
    assert template.training


def twice() -> nn.Module:
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.ReLU(), layer)


def tied() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    module[2].weight = module[0].weight
    return module


def hooked() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    module[1].register_forward_hook(lambda *_: None)
    return module


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Wrapped(nn.Sequential):
    def forward(self, x):
        return -super().forward(x)


LAYERED = {
    "linear": (True, lambda: nn.Sequential(nn.Linear(3, 3))),
    "flatten": (True, lambda: nn.Sequential(nn.Flatten(), nn.Linear(3, 3))),
    "two relu": (True, lambda: nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True), nn.ReLU(), nn.Linear(3, 3))),
    "no relu": (True, lambda: nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))),
    "no bias": (True, lambda: nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 3))),
    "bare": (False, lambda: nn.Linear(3, 3)),
    "empty": (False, lambda: nn.Sequential()),
    "only flatten": (False, lambda: nn.Sequential(nn.Flatten())),
    "relu first": (False, lambda: nn.Sequential(nn.ReLU(), nn.Linear(3, 3))),
    "relu last": (False, lambda: nn.Sequential(nn.Linear(3, 3), nn.ReLU())),
    "flatten late": (True, lambda: nn.Sequential(nn.Linear(3, 3), nn.Flatten(), nn.Linear(3, 3))),
    "other flatten": (False, lambda: nn.Sequential(nn.Flatten(0), nn.Linear(3, 3))),
    "tanh": (False, lambda: nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))),
    "dropout": (True, lambda: nn.Sequential(nn.Linear(3, 3), nn.Dropout(), nn.Linear(3, 3))),
    "dropout after relu": (
        True,
        lambda: nn.Sequential(
            nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.3), nn.Linear(4, 5), nn.ReLU(), nn.Dropout(0.6), nn.Linear(5, 3)
        ),
    ),
    "everything off": (True, lambda: nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Dropout(1.0), nn.Linear(3, 3))),
    "dropout before relu": (
        False,
        lambda: nn.Sequential(nn.Linear(3, 3), nn.Dropout(), nn.ReLU(), nn.Linear(3, 3)),
    ),
    "dropout first": (False, lambda: nn.Sequential(nn.Dropout(), nn.Linear(3, 3))),
    "dropout last": (False, lambda: nn.Sequential(nn.Linear(3, 3), nn.Dropout())),
    "layer of its own": (False, lambda: nn.Sequential(Doubled(3, 3), nn.ReLU(), nn.Linear(3, 3))),
    "chain of its own": (False, lambda: Wrapped(nn.Linear(3, 3))),
    "nested": (False, lambda: nn.Sequential(nn.Sequential(nn.Linear(3, 3)), nn.Linear(3, 3))),
    "one layer twice": (False, twice),
    "tied weights": (False, tied),
    "hooked": (False, hooked),
    "normalised": (
        False,
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), nn.Linear(3, 3)),
    ),
}


@pytest.mark.parametrize("name", LAYERED)
def test_what_is_layered(name: str) -> None:
    expected, build = LAYERED[name]
    try:
        one = workload(build(), (3,))
    except InputError:  # there is nothing to prune
        assert not expected
    else:
        assert (strategy_named("layered").obstacle(one) is None) is expected


ODD = ["two relu", "no relu", "no bias", "linear", "tied weights", "one layer twice"]
DROPPING = ["dropout", "dropout after relu", "everything off"]


@pytest.mark.parametrize("name", [*ODD, *DROPPING])
def test_odd_chains_train_as_they_do_one_by_one(bench, name: str) -> None:
    expected, build = LAYERED[name]
    examples = bench.examples((3,), torch.float64)
    start = bench.stack(build, dtype=torch.float64)
    looped = bench.train(build, start, bench.recipe(), examples, "looped")
    other = bench.train(build, start, bench.recipe(), examples, "layered" if expected else "vectorised")
    for key, value in looped.stack.parameters.items():
        torch.testing.assert_close(other.stack.parameters[key], value, rtol=1e-9, atol=1e-11)
        assert not torch.equal(value, start.parameters[key]) or name == "everything off"


def dropped(bench, strategy: str, which: list[int], noises: list[int]):
    """Networks of the bench by their index, each with a noise seed; all see the same data."""
    values, masks = bench.networks(bench.dropnet, 3)
    parameters = [name for name, _ in bench.dropnet().named_parameters()]
    start = stack_networks([values[i] for i in which], [masks[i] for i in which], parameters)
    seeds = [NetworkSeeds(order=1, noise=noise) for noise in noises]
    return bench.train(bench.dropnet, start, bench.recipe(), bench.examples(), strategy, seeds=seeds)


def assert_same_network(one, index: int, other, place: int) -> None:
    for name, value in one.stack.network(index).items():
        assert torch.equal(other.stack.network(place)[name], value), name
    assert torch.equal(one.curves.values[:, index], other.curves.values[:, place])


@pytest.mark.parametrize("strategy", ["layered", "looped"])
def test_dropout_is_a_networks_own_whoever_else_is_in_the_stack(bench, strategy: str) -> None:
    together = dropped(bench, strategy, [0, 1, 2], [10, 11, 12])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        among_others = dropped(bench, strategy, [2, 1, 1], [5, 11, 6])
    assert_same_network(together, 1, among_others, 1)
    # In another place of the stack the optimizer's kernel may round the last bit otherwise.
    moved = dropped(bench, strategy, [1, 2, 0], [11, 12, 10])
    for index, place in enumerate([2, 0, 1]):
        for name, value in together.stack.network(index).items():
            torch.testing.assert_close(moved.stack.network(place)[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("strategy", ["layered", "looped"])
def test_the_same_values_with_other_noise_become_another_network(bench, strategy: str) -> None:
    trained = dropped(bench, strategy, [0, 0, 0], [10, 10, 11])
    first, again, other = trained.stack.parameters["0.weight"]
    torch.testing.assert_close(again, first, rtol=1e-4, atol=1e-5)  # its place in the stack may decide the last bit
    assert (other - first).abs().max() > 0.01


class Listening(Looped):
    """A looped execution that notes the seed of every network's noise at every step."""

    def gradients(self, parameters, buffers, x, y, noise) -> None:
        self.heard = [*getattr(self, "heard", []), [noise(network) for network in range(len(x))]]
        super().gradients(parameters, buffers, x, y, noise)


def test_noise_is_new_at_every_step_and_the_same_from_any_start(bench) -> None:
    def listened(start, **options):
        execution = Listening(bench.dropnet(), functional.cross_entropy)
        trained = train(
            functools.partial(Stepwise, execution),
            start,
            bench.seeds(len(start)),
            bench.examples(),
            bench.recipe(),
            **options,
        )
        return trained, execution.heard

    with torch.random.fork_rng(devices=[]):
        whole, heard = listened(bench.stack(bench.dropnet, 2), keep_step=6)
        again, later = listened(whole.kept)
    assert later == heard[6:]
    assert len({seed for step in heard for seed in step}) == 15 * 2
    for index in (0, 1):
        assert_same_network(again, index, dataclasses.replace(whole, curves=again.curves), index)


def test_the_seed_decides_what_a_looped_network_drops() -> None:
    # Of one hidden unit with no other way through, the gradient says whether it was dropped.
    module = nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.5), nn.Linear(1, 3))
    weights = {name: torch.ones(1, *p.shape, requires_grad=True) for name, p in module.named_parameters()}
    weights["2.weight"] = torch.tensor([[[1.0], [2.0], [3.0]]], requires_grad=True)
    x, y = torch.ones(1, 1, 1), torch.zeros(1, 1, dtype=torch.int64)
    looped, dropped = Looped(module, functional.cross_entropy), []
    for seed in [*range(40), *range(40)]:
        looped.gradients(weights, {}, x, y, lambda network, seed=seed: seed)
        dropped.append(not weights["0.weight"].grad.any())
    assert 8 < sum(dropped[:40]) < 32
    assert dropped[40:] == dropped[:40]


def test_the_global_generator_is_left_as_it_was(bench) -> None:
    before = torch.get_rng_state()
    with torch.random.fork_rng(devices=[]):
        module = bench.dropnet()
    choose(workload(module))
    parameters = {name: value.detach()[None].clone().requires_grad_() for name, value in module.named_parameters()}
    Looped(module, functional.cross_entropy).gradients(
        parameters, {}, torch.ones(1, 2, 6), torch.zeros(1, 2, dtype=torch.int64), int
    )
    assert torch.equal(torch.get_rng_state(), before)
