"""The optimizer's step over a whole stack: PyTorch's own fused optimizers, whose arithmetic is element by element."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tickets.config import TrainConfig


def make_optimizer(
    recipe: TrainConfig, parameters: Mapping[str, Tensor], state: Mapping[str, Mapping[str, Tensor]]
) -> torch.optim.Optimizer:
    """torch.optim's fused SGD, Adam or AdamW over stacked parameters, going on from `state` where there is some.

    parameters: leaves, (R, *shape). state: as `Stack.optimizer`; the tensors are taken over, not copied. Every
    network of a stack has taken the same number of steps.
    """
    leaves = list(parameters.values())
    optimizer: torch.optim.Optimizer
    if recipe.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            leaves,
            recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    else:
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
        on_gpu = leaves[0].is_cuda  # there a step may be recorded, and counts steps in the GPU's memory
        optimizer = kind(leaves, recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True, capturable=on_gpu)
    for name, parameter in parameters.items():
        for key, tensors in state.items():
            if name in tensors:
                optimizer.state[parameter][key] = tensors[name][0].clone() if key == "step" else tensors[name]
    return optimizer


def optimizer_state(optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The optimizer's state as `Stack.optimizer` holds it; tensors are the live ones, the step count per network."""
    state: dict[str, dict[str, Tensor]] = {}
    for name, parameter in parameters.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                state.setdefault(key, {})[name] = value.expand(len(parameter)).clone() if key == "step" else value
    return state


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The rate of the next step, for every parameter; where it is a tensor, in the same memory."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
