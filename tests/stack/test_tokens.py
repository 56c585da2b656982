"""Classification of sequences of tokens: every strategy that is offered against the plain loop, in double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from made_workloads import workload
from torch import Tensor, nn
from torch.nn import functional

from tickets.data import Examples
from tickets.errors import InputError
from tickets.stack.strategies import choose
from tickets.stack.workload import Workload

CLOSE = {"rtol": 1e-9, "atol": 1e-11}
CPU = torch.device("cpu")
LENGTH, ROWS = 6, 11


def bag() -> nn.Module:
    return nn.Sequential(nn.Embedding(ROWS, 4), nn.Flatten(), nn.Linear(4 * LENGTH, 7), nn.ReLU(), nn.Linear(7, 3))


def padded() -> nn.Module:
    """Whose padding row, which is no zero here, has no gradient in any network of a stack."""
    embedding = nn.Embedding(ROWS, 4, padding_idx=3)
    return nn.Sequential(embedding, nn.Flatten(), nn.Linear(4 * LENGTH, 7), nn.ReLU(), nn.Linear(7, 3))


class Text(nn.Module):
    """Convolutions over embedded tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.convolution = nn.Embedding(ROWS, 4), nn.Conv2d(1, 5, (3, 4))
        self.output = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.output(self.convolution(self.embedding(x)[:, None]).relu().amax((2, 3)))
        return outputs


class Recurrent(nn.Module):
    """A GRU over embedded tokens, which vmap does not run."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.gru, self.output = nn.Embedding(ROWS, 4), nn.GRU(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.output(self.gru(self.embedding(x))[0][:, -1])
        return outputs


class Summed(nn.Module):
    """An EmbeddingBag."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.output = nn.EmbeddingBag(ROWS, 4, mode="sum"), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.output(self.embedding(x))
        return outputs


def tokens() -> Examples:
    generator = torch.Generator().manual_seed(4)
    inputs = torch.randint(ROWS, (67, LENGTH), generator=generator)
    labels = inputs[:, 0] % 3
    return Examples(inputs[:43], labels[:43], inputs[43:53], labels[43:53], inputs[53:], labels[53:], 3)


def tokens_workload(module: nn.Module) -> Workload:
    return workload(module, (LENGTH,), dtype=torch.int64)


def refusal(strategy: str, build: Callable[[], nn.Module]) -> str | None:
    try:
        choose(tokens_workload(build()), strategy)
    except InputError as error:
        return str(error)
    return None


@pytest.mark.parametrize("optimizer", [{"optimizer": "adam"}, {"optimizer": "sgd", "momentum": 0.9}])
@pytest.mark.parametrize("build", [bag, padded, Text, Recurrent, Summed])
def test_every_strategy_that_is_offered_is_the_plain_loop(bench: Any, build: Any, optimizer: dict[str, Any]) -> None:
    strategies = [
        strategy for strategy in ("layered", "sparse", "vectorised", "looped") if not refusal(strategy, build)
    ]
    assert "looped" in strategies
    assert ("vectorised" in strategies) == (build in (bag, Text))
    assert ("sparse" in strategies) == (build is Text)
    recipe, examples = bench.recipe(**optimizer), tokens()
    values, masks = bench.networks(build, dtype=torch.float64)
    seeds = bench.seeds(3)
    for strategy in strategies:
        start = bench.stack(build, dtype=torch.float64)
        trained = bench.train(build, start, recipe, examples, strategy, seeds=seeds)
        for index in range(3):
            module, _ = bench.plain(build, values[index], masks[index], recipe, examples, seeds[index].order)
            network = trained.stack.network(index)
            for key, value in module.state_dict().items():
                torch.testing.assert_close(network[key], value, **CLOSE)
            module.eval()
            loss = functional.cross_entropy(module(examples.validation_inputs), examples.validation_labels).detach()
            torch.testing.assert_close(trained.curves.metric("validation_loss")[-1, index], loss, **CLOSE)


def test_the_strategy_is_chosen_with_whole_numbers() -> None:
    assert choose(tokens_workload(bag())).strategy == "vectorised"
    chosen = choose(tokens_workload(Recurrent()))
    assert chosen.strategy == "looped"
    assert "Long" not in chosen.reason
    assert "Embedding with padding_idx" in choose(tokens_workload(padded())).reason
