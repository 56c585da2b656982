"""What is known of a module, found once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tickets.config import TrainConfig
from tickets.errors import InputError
from tickets.models import factory
from tickets.models.chance import Draws
from tickets.stack.anatomy import examine
from tickets.stack.strategies import choose
from tickets.stack.workload import Workload

CPU = torch.device("cpu")


def test_a_chain(bench) -> None:
    found = examine(bench.mlp(), (6,), exclude=["5.*"])
    assert [tensor.name for tensor in found.prunable] == ["1.weight", "3.weight"]
    assert found.coverage.left_out.keys() == {"5.weight"}
    assert found.trained == ("1.weight", "1.bias", "3.weight", "3.bias", "5.weight", "5.bias")
    assert found.biases == {"1.bias", "3.bias", "5.bias"}
    assert [layer.width for layer in found.hidden] == [7, 5]
    assert found.kernel_chain is found.chain is not None
    assert found.pixels == {"1.weight": 1, "3.weight": 1, "5.weight": 1}
    assert (found.convolutions, found.has_convolutions, found.has_images) == ({}, False, False)
    assert (found.calls, found.activations) == (6, 4 * (6 + 6 + 7 + 7 + 5 + 5 + 3))


def test_convolutions_of_a_chain_and_of_another_network(bench) -> None:
    chain = examine(bench.convnet(), (1, 4, 4))
    assert chain.pixels == {"0.weight": 16, "4.weight": 1}, "of all links"
    other = examine(bench.normnet(), (1, 4, 4))
    assert (other.chain, other.kernel_chain, other.hidden) == (None, None, None)
    assert other.pixels == {"0.weight": 4}, "of convolutions alone"
    assert chain.has_images
    assert other.has_images


def test_a_frozen_parameter_is_not_trained_and_leaves_no_chain_to_kernels() -> None:
    module = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    module[0].requires_grad_(False)
    found = examine(module, (6,))
    assert found.trained == ("2.weight", "2.bias")
    assert found.biases == {"2.bias"}
    assert found.chain is not None
    assert found.kernel_chain is None


def test_dropout_leaves_no_chain_to_kernels(bench) -> None:
    assert examine(bench.dropnet(), (6,)).kernel_chain is None


def test_a_module_is_run_once_however_much_is_asked(bench) -> None:
    calls = []

    class Counted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.output = nn.Conv2d(1, 2, 3), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            calls.append(tuple(x.shape))
            outputs: Tensor = self.output(self.conv(x).flatten(1))
            return outputs

    found = examine(Counted(), (1, 4, 4))
    assert calls == []
    _ = found.activations, found.pixels, found.convolutions, found.calls, found.has_images
    assert calls == [(1, 1, 4, 4)]


def test_nothing_to_prune_is_refused() -> None:
    with pytest.raises(InputError, match="nothing is left to prune"):
        examine(nn.Sequential(nn.BatchNorm1d(3)), (3,))


def test_the_obstacle_to_vmap_is_what_the_module_draws_from_or_what_vmap_says(bench) -> None:
    def obstacle(module: nn.Module, shape: tuple[int, ...] = (6,), **options) -> str | None:
        return Workload(examine(module, shape, **options), lambda: module, TrainConfig(), CPU, 4).vmap_obstacle

    assert obstacle(bench.mlp()) is None
    assert obstacle(bench.normnet(), (1, 4, 4)) is None
    assert obstacle(bench.dropnet()).startswith("vmap cannot train this model: vmap: called random operation")
    foreign = Draws(frozenset({"numpy"}), repeatable=True)
    assert obstacle(bench.mlp(), chance=foreign) == "the model draws from NumPy's random numbers"


def test_lanes(bench) -> None:
    def lanes(module: nn.Module, device: str = "cpu") -> int:
        return Workload(examine(module, (6,)), lambda: module, TrainConfig(), torch.device(device), 4).lanes

    assert (lanes(bench.mlp()), lanes(bench.dropnet()), lanes(bench.mlp(), "cuda")) == (4, 1, 1)


@pytest.mark.parametrize(
    ("name", "shape", "strategy"),
    [("lenet_300_100", (1, 28, 28), "sparse"), ("conv2", (3, 32, 32), "looped"), ("resnet20", (3, 32, 32), "looped")],
)
def test_the_models_of_the_catalogue_keep_their_strategies(name: str, shape, strategy: str, monkeypatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    build = factory(name, {}, shape, 10)
    one = Workload(examine(build(), shape), build, TrainConfig(batch_size=60), CPU, 2, networks=15)
    choice = choose(one)
    up_to = {"sparse": 0.0, "looped": 0.4 if name == "resnet20" else 0.75 * 60 / 64}[strategy]
    assert (choice.strategy, choice.lanes, choice.takes_over.get("sparse", 0.0)) == (strategy, 2, up_to)
