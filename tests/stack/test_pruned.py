"""Models that are no chains, trained with their convolutions by surviving weights, against every weight held."""

from __future__ import annotations

import pytest
import torch
from made_workloads import workload
from torch import Tensor, nn
from torch.nn import functional

from tickets.errors import InputError
from tickets.models import factory
from tickets.stack.networks import stack_networks
from tickets.stack.strategies import choose
from tickets.stack.strategies.sparse import PLANES_UP_TO

CLOSE = {"rtol": 1e-8, "atol": 1e-10}


class Residual(nn.Module):
    """Strides, a shortcut, normalisation, dropout, a layer that is met twice, and one that cannot be sparse."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.again = nn.Conv2d(4, 4, 3, padding=1)
        self.down = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.shortcut = nn.Conv2d(4, 6, 1, stride=2)
        self.grouped = nn.Conv2d(6, 6, 3, padding=1, groups=2)
        self.dropout = nn.Dropout(0.3)
        self.output = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.relu(self.norm(self.first(x)))
        hidden = self.again(functional.relu(self.again(hidden)))
        hidden = functional.relu(self.down(hidden) + self.shortcut(hidden))
        return self.output(self.dropout(self.grouped(hidden)).mean((2, 3)))


def residual() -> nn.Module:
    return Residual()


@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_it_is_the_dense_masked_training(bench, density: float, optimizer: str) -> None:
    examples = bench.examples((2, 5, 6), torch.float64)
    recipe = bench.recipe(optimizer=optimizer, weight_decay=0.02)
    start = bench.stack(residual, 3, density=density, dtype=torch.float64)
    whole, pruned = (bench.train(residual, start, recipe, examples, strategy) for strategy in ("looped", "sparse"))
    for kind in ("parameters", "buffers"):
        for name, value in getattr(whole.stack, kind).items():
            torch.testing.assert_close(getattr(pruned.stack, kind)[name], value, **CLOSE)
    torch.testing.assert_close(pruned.curves.values, whole.curves.values, **CLOSE)
    for name, mask in start.masks.items():
        assert (pruned.stack.parameters[name][~mask] == 0).all()


def test_a_layer_without_a_mask_stays_whole(bench) -> None:
    values, masks = bench.networks(residual, 2, dtype=torch.float64)
    for each in masks:
        del each["shortcut.weight"]
    start = stack_networks(values, masks, [name for name, _ in residual().named_parameters()])
    examples = bench.examples((2, 5, 6), torch.float64)
    whole, pruned = (
        bench.train(residual, start, bench.recipe(), examples, strategy) for strategy in ("looped", "sparse")
    )
    for name, value in whole.stack.parameters.items():
        torch.testing.assert_close(pruned.stack.parameters[name], value, **CLOSE)


def test_lanes_do_not_meet(bench) -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(120, 3))

    start = bench.stack(build, 6, density=0.3, dtype=torch.float64)
    examples = bench.examples((2, 5, 6), torch.float64)
    one, two = (bench.train(build, start, bench.recipe(), examples, "sparse", lanes=lanes) for lanes in (1, 2))
    for name, value in one.stack.parameters.items():
        torch.testing.assert_close(two.stack.parameters[name], value, **CLOSE)


@pytest.mark.parametrize(("machine", "up_to"), [("x86_64", PLANES_UP_TO), ("arm64", 0.0)])
def test_when_it_is_chosen(monkeypatch, machine: str, up_to: float) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    resnet = factory("resnet20", {}, (3, 8, 8), 10)()
    dropping = factory("conv2", {"dropout": 0.5}, (3, 8, 8), 10)()

    def chosen(module: nn.Module, threads: int = 1, wanted: str = "auto", **train) -> tuple[str, float]:
        choice = choose(workload(module, (3, 8, 8), threads=threads, **train), wanted)
        return choice.strategy, choice.takes_over.get("sparse", 0.0)

    assert chosen(resnet) == chosen(dropping) == ("looped", up_to)
    assert chosen(resnet, 4) == ("looped", up_to), "in four lanes"
    assert chosen(dropping, 4) == ("looped", up_to / 4), "in one, whose random numbers come from one generator"
    assert chosen(resnet, wanted="looped") == chosen(resnet, precision="bf16") == ("looped", 0.0)
    assert chosen(resnet, wanted="sparse") == ("sparse", 0.0)


def test_it_is_refused_where_nothing_can_be_sparse() -> None:
    grouped = nn.Sequential(nn.Conv2d(2, 2, 3, groups=2), nn.Flatten(), nn.Linear(8, 3))
    with pytest.raises(InputError, match=r"compute.strategy = 'sparse': the model must have Conv2d layers"):
        choose(workload(grouped, (2, 4, 4)), "sparse")
