"""How many networks fit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tickets.stack.memory import (
    EVALUATION_BYTES,
    activation_bytes,
    evaluation_chunk,
    free_bytes,
    network_bytes,
    networks_that_fit,
)


def test_activations_by_hand(bench) -> None:
    # The example 6, Flatten 6, Linear 7, ReLU 7, Linear 5, ReLU 5, Linear 3, in float32.
    assert activation_bytes(bench.mlp(), (6,)) == 4 * (6 + 6 + 7 + 7 + 5 + 5 + 3)
    # The image 16, convolution and ReLU 3 x 16 each, pooled 3 x 4, flattened 12, output 3.
    assert activation_bytes(bench.convnet(), (1, 4, 4)) == 4 * (16 + 48 + 48 + 12 + 12 + 3)


@pytest.mark.parametrize("training", [True, False])
def test_the_module_is_left_as_it_was(bench, training: bool) -> None:
    module = bench.normnet().train(training)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    activation_bytes(module, (1, 4, 4))
    assert module.training is training
    assert all(layer.training is training for layer in module)
    assert not any(layer._forward_hooks for layer in module.modules())
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())


def test_the_hooks_go_even_if_the_model_fails(bench) -> None:
    module = bench.mlp()
    with pytest.raises(RuntimeError):
        activation_bytes(module, (5,))
    assert module.training
    assert not any(layer._forward_hooks for layer in module.modules())


def test_a_network_counts_parameters_six_times_and_a_batch_three_times() -> None:
    module = nn.Sequential(nn.Linear(10, 4), nn.Linear(4, 2))  # 54 parameters; 16 numbers for an example
    assert network_bytes(module, (10,), 1) == 6 * 54 * 4 + 3 * 16 * 4
    assert network_bytes(module, (10,), 50) == 6 * 54 * 4 + 3 * 50 * 16 * 4


def test_at_least_one_network_fits() -> None:
    assert [networks_that_fit(bound, 100) for bound in (0, 99, 100, 199, 1000)] == [1, 1, 1, 1, 10]


def test_there_is_memory() -> None:
    assert free_bytes(torch.device("cpu")) > 2**20


def test_an_evaluation_stays_within_its_bytes_and_between_its_bounds() -> None:
    assert evaluation_chunk(1, 1, batch_size=60) == 10_000
    assert evaluation_chunk(1000, 10**9, batch_size=60) == 60, "a training batch fits as it is"
    for networks, activations in [(1, 4000), (16, 1500), (60, 20_000), (7, 12_345)]:
        chunk = evaluation_chunk(networks, activations, batch_size=1)
        assert 1 <= chunk <= 10_000
        assert chunk * networks * activations <= EVALUATION_BYTES
        assert chunk == 10_000 or (chunk + 1) * networks * activations > EVALUATION_BYTES
