"""Workloads of modules that a test makes, for what is chosen for them and how they train."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tickets.config import TrainConfig
from tickets.stack.anatomy import examine
from tickets.stack.chain import chain_of
from tickets.stack.execution import Execution
from tickets.stack.hidden import HiddenLayer, hidden_layers
from tickets.stack.layered import Layered
from tickets.stack.looped import Looped
from tickets.stack.networks import Tensors
from tickets.stack.vectorised import Vectorised
from tickets.stack.workload import Workload

CPU = torch.device("cpu")


def workload(
    module: nn.Module,
    input_shape: Sequence[int] = (6,),
    device: torch.device = CPU,
    threads: int = 1,
    *,
    dtype: torch.dtype = torch.float32,
    networks: int = 100,
    build: Callable[[], nn.Module] | None = None,
    recipe: TrainConfig | None = None,
    targets: Tensor | None = None,
    **train: Any,
) -> Workload:
    """So many networks that vmap is preferred for small ones, in every lane, unless a test says otherwise.

    build: default, one that gives this module. recipe: default, TrainConfig(**train), with batches of one.
    """
    return Workload(
        anatomy=examine(module, tuple(input_shape), dtype),
        build=build or (lambda: module),
        recipe=recipe or TrainConfig(**{"batch_size": 1, **train}),
        device=device,
        threads=threads,
        networks=networks,
        targets=targets,
    )


def execution(strategy: str, module: nn.Module, masks: Tensors | None = None) -> Execution:
    """The gradients of a strategy that computes them step by step. masks: of the stack, for "sparse" convolutions."""
    if strategy == "layered":
        first = next(layer for layer in module.modules() if isinstance(layer, nn.Linear))
        chain = chain_of(module, (first.in_features,))
        assert chain is not None
        return Layered(chain.links)
    kinds = {"vectorised": Vectorised, "looped": Looped}
    if strategy == "sparse":
        return Looped(module, cross_entropy, masks)
    return kinds[strategy](module, cross_entropy)


def hidden_of(module: nn.Module) -> tuple[HiddenLayer, ...]:
    """The hidden layers of a chain of Linear layers."""
    first = next(layer for layer in module.modules() if isinstance(layer, nn.Linear))
    found = hidden_layers(chain_of(module, (first.in_features,)))
    assert found is not None
    return found
