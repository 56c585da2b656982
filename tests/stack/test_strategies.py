"""What each strategy says of a workload: whether it can train it, when it is preferred, and the memory it takes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from made_workloads import workload
from torch import Tensor, nn

from tickets.catalogue import STRATEGIES
from tickets.stack.kernels import SEVERAL, VECTOR_BYTES
from tickets.stack.memory import Bytes
from tickets.stack.planes import lay_out_planes
from tickets.stack.rows import lay_out_chain
from tickets.stack.strategies import alternatives, choose, strategy_named, strategy_names
from tickets.stack.strategies import sparse as sparse_rules
from tickets.stack.strategies.sparse import EDGE, TILE_BYTES, WIRED
from tickets.stack.strategies.vectorised import CALL_BYTES, OVERHEAD
from tickets.stack.workload import Workload


class Residual(nn.Module):
    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, width), nn.Linear(width, width)
        self.output, self.relu = nn.Linear(width, classes), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.relu(self.first(x))
        outputs: Tensor = self.output(hidden + self.relu(self.second(hidden)))
        return outputs


def residual(width: int, batch_size: int, threads: int = 1, networks: int = 24, **options: Any) -> Workload:
    module = Residual(40, width, 10)
    return workload(module, (40,), threads=threads, networks=networks, batch_size=batch_size, **options)


def chosen(one: Workload) -> str:
    return choose(one).strategy


def test_a_wide_residual_network_is_looped() -> None:
    choice = choose(residual(500, 100))
    assert choice.strategy == "looped"
    assert choice.reason == "vmap is slower than a loop for networks of this size and number"


def test_many_small_networks_are_vectorised_and_few_are_looped() -> None:
    assert chosen(residual(32, 32)) == "vectorised"
    assert chosen(residual(32, 32, networks=OVERHEAD)) == "looped"
    assert chosen(residual(32, 32, threads=8)) == "looped", "three in each lane"
    assert chosen(residual(32, 32, threads=8, networks=8 * 24)) == "vectorised"
    assert chosen(residual(32, 32, threads=8, networks=1, device=torch.device("cuda"))) == "vectorised"


def test_the_rule_counts_the_bytes_that_a_step_touches_for_each_call() -> None:
    # Five calls; an example is 40 numbers, its activations 16 in each of four, and 10; 1,098 parameters.
    touched = 4 * ((40 + 4 * 16 + 10) * 500 + 1098)
    most = 5 * CALL_BYTES
    networks = OVERHEAD / (1 - touched / most)  # where it is as much as may be
    assert 4 < networks < 24
    assert chosen(residual(16, 500, networks=math.floor(networks))) == "looped"
    assert chosen(residual(16, 500, networks=math.ceil(networks))) == "vectorised"


def test_the_catalogue_is_in_order_of_preference_and_the_plain_loop_is_last() -> None:
    assert strategy_names() == (*STRATEGIES, "plain") == ("sparse", "layered", "vectorised", "looped", "plain")


def test_alternatives_are_those_that_can_train_the_model_and_are_ever_preferred(bench) -> None:
    assert alternatives(workload(bench.mlp()), "sparse") == ("layered", "vectorised", "looped", "plain")
    assert alternatives(workload(bench.mlp(), networks=3), "sparse") == ("layered", "looped", "plain")
    images = workload(bench.convnet(), (1, 4, 4))
    assert alternatives(images, "sparse") == alternatives(images, "vectorised") == ("looped", "plain")
    assert alternatives(images, "looped") == ("plain",)
    assert alternatives(images, "plain") == ()


TWO_LAYERS = nn.Sequential(nn.Linear(10, 4), nn.ReLU(), nn.Linear(4, 2))  # 48 weights, 6 biases
IN_TRAINING = 2 * 216 + 192 + 48 + 2 * 216  # values, gradients, keep bits, masks, two states
ACTIVATIONS = 4 * (10 + 4 + 4 + 2)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("layered", Bytes(IN_TRAINING + 20 * ACTIVATIONS)),
        ("vectorised", Bytes(IN_TRAINING + 2 * 20 * ACTIVATIONS)),
        ("looped", Bytes(IN_TRAINING + 20 * 40, 2 * 20 * ACTIVATIONS)),
        ("plain", Bytes(IN_TRAINING + 216 + 20 * 40, 2 * 20 * ACTIVATIONS)),
    ],
)
def test_the_memory_of_a_strategy_that_stores_every_weight(strategy: str, expected: Bytes) -> None:
    one = workload(TWO_LAYERS, (10,), batch_size=20, optimizer="adam")
    assert strategy_named(strategy).bytes(one) == expected


@pytest.mark.parametrize(("left", "surviving"), [(1.0, 54), (0.5, 24 + 6), (0.1, 5 + 6)])
def test_sparse_stores_what_survives(left: float, surviving: int) -> None:
    one = workload(TWO_LAYERS, (10,), batch_size=20)
    assert strategy_named("sparse").bytes(one, left) == Bytes(
        EDGE * surviving + 216 + 20 * ACTIVATIONS, WIRED * surviving
    )


def test_sparse_images_take_a_tile_of_every_row() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3))
    one = workload(module, (1, 4, 4))
    # The example with zeros around it; what passes, and which it was; what the classes read and write, and slopes.
    of_tiles = (6 * 6 + 1) + 2 * 4 + 2 * 4 + 2 * (2 * 4 + 3)
    # Two lines before pooling; slopes with zeros around them; a line that goes back.
    of_vectors = 2 * 2 * 4 + (2 * 6 * 6 + 1) + 2 * 2
    numbers = 18 + 2 + 24 + 3
    lane = WIRED * numbers + 256 * of_tiles + 64 * of_vectors
    assert strategy_named("sparse").bytes(one) == Bytes(EDGE * numbers + 4 * numbers, lane)
    assert lay_out_chain(one.anatomy.chain.links).given_rows == 6 * 6 + 1
    assert TILE_BYTES == SEVERAL * VECTOR_BYTES
    assert sparse_rules.VECTOR_BYTES == VECTOR_BYTES


def test_planes_take_their_room_once_for_each_geometry() -> None:
    layers = nn.Sequential(*(nn.Conv2d(2, 2, 3, padding=1) for _ in range(3)), nn.Conv2d(2, 5, 3, padding=1))
    one = workload(layers, (2, 6, 6))
    uses = [one.anatomy.convolutions[name][0] for name in ("0.weight", "3.weight")]
    rooms = sum(4 * lay_out_planes(use.convolution, use.image, 4).numbers for use in uses)
    looped = strategy_named("looped").bytes(one)
    weights = 3 * 36 + 90
    assert strategy_named("sparse").bytes(one) == Bytes(looped.each + EDGE * weights, looped.lane + rooms)


def test_an_evaluation_by_kernels_takes_more_examples_at_a_time(bench) -> None:
    one = workload(bench.mlp())
    assert strategy_named("sparse").chunk(one, 7) == sparse_rules.EVALUATED
    images = workload(bench.convnet(), (1, 4, 4))
    for strategy in strategy_names():
        assert strategy_named(strategy).chunk(images, 7) == strategy_named("looped").chunk(images, 7)
