"""Small stacks on made-up examples, and the plain loop over torch.optim that they are measured against."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import torch
from made_workloads import workload
from torch import Tensor, nn
from torch.nn import functional

from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.initial import initial_values
from tickets.stack.architecture import prunable
from tickets.stack.feed import NetworkSeeds
from tickets.stack.networks import Stack, stack_networks
from tickets.stack.order import epoch_order
from tickets.stack.schedules import learning_rate
from tickets.stack.strategies import begin
from tickets.stack.training import Trained, train

CLASSES = 3


class Late(nn.Module):
    """Its second layer is used from a step on that each network draws, and its third from step 9 on."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(6, 9), nn.Linear(9, 9), nn.Linear(9, 9)
        self.last = nn.Linear(9, CLASSES)
        self.register_buffer("taken", torch.tensor(0))
        self.register_buffer("begins", torch.randint(2, 6, ()))

    def forward(self, x: Tensor) -> Tensor:
        self.taken += self.training
        hidden = torch.tanh(self.first(x))
        if self.taken > self.begins:
            hidden = hidden + torch.tanh(self.second(hidden))
        if self.taken > 9:
            hidden = hidden + torch.tanh(self.third(hidden))
        return self.last(hidden)


class Bench:
    """Everything a test of the trainer needs to set up: models, examples, recipes, stacks."""

    def mlp(self, inputs: int = 6) -> nn.Sequential:
        return nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, 7), nn.ReLU(), nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, CLASSES)
        )

    def convnet(self) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, CLASSES)
        )

    def normnet(self) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, CLASSES)
        )

    def dropnet(self) -> nn.Sequential:
        return nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Dropout(0.5), nn.Linear(9, CLASSES))

    def noisenet(self) -> nn.Sequential:
        return nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Dropout(0.5), nn.Linear(9, CLASSES))

    def latenet(self) -> nn.Module:
        return Late()

    def recipe(self, **changes: Any) -> TrainConfig:
        return TrainConfig(**{"learning_rate": 0.05, "batch_size": 8, "steps": 15, "evaluate_every": 5} | changes)

    def examples(self, shape: Sequence[int] = (6,), dtype: torch.dtype = torch.float32, **changes: Any) -> Examples:
        """43 for training (five whole batches of 8, and three left over), 10 for validation, 14 for the test."""
        generator = torch.Generator().manual_seed(5)
        inputs = torch.randn(67, *shape, generator=generator, dtype=dtype)
        noise = torch.randn(67, CLASSES, generator=generator, dtype=dtype)
        labels = (inputs.flatten(1)[:, :CLASSES] + 0.3 * noise).argmax(1)
        parts = {
            "train_inputs": inputs[:43],
            "train_labels": labels[:43],
            "validation_inputs": inputs[43:53],
            "validation_labels": labels[43:53],
            "test_inputs": inputs[53:],
            "test_labels": labels[53:],
        }
        return Examples(**{**parts, "classes": CLASSES} | changes)

    def networks(
        self,
        build: Callable[[], nn.Module],
        count: int = 3,
        density: float = 0.6,
        dtype: torch.dtype = torch.float32,
    ) -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]]:
        """The values and the masks of so many networks, each with its own."""
        values, masks = [], []
        for index in range(count):
            drawn = initial_values(build, "pytorch", 100 + index)
            values.append(
                {name: value.to(dtype) if value.is_floating_point() else value for name, value in drawn.items()}
            )
            generator = torch.Generator().manual_seed(200 + index)
            masks.append(
                {tensor.name: torch.rand(tensor.shape, generator=generator) < density for tensor in prunable(build())}
            )
        return values, masks

    def stack(self, build: Callable[[], nn.Module], count: int = 3, **options: Any) -> Stack:
        values, masks = self.networks(build, count, **options)
        return stack_networks(values, masks, [name for name, _ in build().named_parameters()])

    def seeds(self, count: int, order: int | None = None) -> list[NetworkSeeds]:
        """One a network: its own noise, and its own data order or the one that is given."""
        return [NetworkSeeds(order=70 + index if order is None else order, noise=index) for index in range(count)]

    def train(
        self,
        build: Callable[[], nn.Module],
        start: Stack,
        recipe: TrainConfig,
        examples: Examples,
        strategy: str = "looped",
        **options: Any,
    ) -> Trained:
        options = {"seeds": self.seeds(len(start)), "chunk": 4} | options
        with torch.random.fork_rng(devices=[]):
            module = build()
            one = workload(module, examples.input_shape, dtype=examples.train_inputs.dtype, build=build, recipe=recipe)
            make = functools.partial(begin, strategy, one)
        return train(make, start, examples=examples, recipe=recipe, **options)

    def plain(
        self,
        build: Callable[[], nn.Module],
        values: Mapping[str, Tensor],
        mask: Mapping[str, Tensor],
        recipe: TrainConfig,
        examples: Examples,
        order: int,
        loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        """One network trained alone, as anyone would write it, with torch.optim's plain implementation."""
        kind = examples.train_inputs.dtype
        module = build().to(kind if kind.is_floating_point else torch.float64)
        module.load_state_dict(copy.deepcopy(dict(values)))
        parameters = dict(module.named_parameters())
        kind: Any = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        more = {"momentum": recipe.momentum} if recipe.optimizer == "sgd" else {}
        optimizer = kind[recipe.optimizer](
            parameters.values(),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            foreach=False,
            **more,
        )
        hold(parameters, mask)
        count, size = len(examples.train_labels), recipe.batch_size
        for step in range(recipe.steps):
            epoch, place = divmod(step, count // size)
            batch = epoch_order(order, epoch, count)[place * size : (place + 1) * size]
            module.train()
            optimizer.zero_grad()
            loss(module(examples.train_inputs[batch]), examples.train_labels[batch]).backward()
            for name, kept in mask.items():
                if parameters[name].grad is not None:
                    parameters[name].grad.mul_(kept)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step)
            optimizer.step()
            hold(parameters, mask)
        return module, optimizer


@torch.no_grad()
def hold(parameters: Mapping[str, Tensor], mask: Mapping[str, Tensor]) -> None:
    for name, kept in mask.items():
        parameters[name].mul_(kept)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small only wait for the threads, long on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def bench() -> Bench:
    return Bench()
