"""What a random subnetwork is worth: errors of its weights, outputs and predictions, and the number of its weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tickets.approximation.bound import bounded_outputs
from tickets.approximation.construction import Settings, errors_of, groups_of
from tickets.approximation.network import OwnOutputs, OwnUnits
from tickets.approximation.saved_target import SavedTarget
from tickets.approximation.subset_sum import Subsets
from tickets.approximation.target import Layer
from tickets.tasks import Task

BOUNDED = 100  # test examples for which outputs are compared with the bound, in float64
_BYTES_AT_ONCE = 2**27  # of the activations of a batch


def weights_of(layers: Sequence[Layer], found: Sequence[Subsets], settings: Settings) -> dict[str, Any]:
    """What is kept of the candidates, and the errors of the weights.

    Weights and biases of the target that survive count, once for each sign of their input; pruned ones, which have an
    empty subset and no error, do not.
    """
    errors, counts = [], []
    for layer, subsets in zip(layers, found, strict=True):
        groups = groups_of(layer, settings)
        survives = np.ones((len(layer.weight), layer.sources.shape[1]), np.bool_)
        survives[:, : layer.weight.shape[1]] = layer.surviving
        errors.append(errors_of(layer, groups, subsets)[survives[:, groups.source]])
        counts.append(subsets.counts[survives[:, groups.source]])
    error, count = np.concatenate(errors), np.concatenate(counts)
    kept, beyond = int(count.sum()), int((error > settings.tolerance * (1 + 1e-9)).sum())
    return {
        "target_weights": sum(int(layer.surviving.sum()) for layer in layers),
        "target_biases": sum(0 if layer.bias is None else len(layer.bias) for layer in layers),
        "subsets": len(error),
        "kept": kept,
        "kept_per_weight": kept / max(len(count), 1),
        "share_kept": kept / max(len(count) * settings.candidates, 1),
        "worst_error": float(error.max(initial=0.0)),
        "mean_error": float(error.mean()) if len(error) else 0.0,
        "within_tolerance": 1.0 - beyond / max(len(error), 1),
        "beyond_tolerance": beyond,
    }


def sizes_of(layers: Sequence[Layer], network: nn.Sequential) -> dict[str, Any]:
    """The number of the subnetwork's units and weights, and its width over the target's.

    The width is the largest number of units of a layer, inputs included, but not outputs.
    """
    hidden = [hidden_units(network, index) for index in range(len(layers))]
    return {
        "hidden_units": sum(hidden),
        "width_factor": max(hidden) / max(layer.weight.shape[1] for layer in layers),
        "network_weights": sum(int(torch.count_nonzero(one)) for one in network.parameters()),
    }


def hidden_units(network: nn.Sequential, index: int) -> int:
    """The units between the two random layers that replace a layer of the target."""
    first = network.get_submodule(f"layer{index}.first")
    return len(first.weight) if isinstance(first, OwnUnits) else int(first.get_parameter("weight").shape[0])


def outputs_of(target: SavedTarget, network: nn.Sequential) -> dict[str, Any]:
    """Accuracy of the target and of the subnetwork on the test examples, and how far their outputs are apart.

    Both are the modules' plain forward passes in float32.
    """
    there, made = forward(target.module, target.inputs), forward(network, target.inputs)
    difference = (made - there).abs().double()
    return {
        "target_accuracy": accuracy(target.task, there, target.labels),
        "accuracy": accuracy(target.task, made, target.labels),
        "worst_output_error": float(difference.max()),
        "mean_output_error": float(difference.mean()),
        "same_prediction": float((there.argmax(1) == made.argmax(1)).double().mean()),
    }


def bounds_of(
    target: SavedTarget, found: Sequence[Subsets], network: nn.Sequential, settings: Settings
) -> dict[str, Any]:
    """Whether the outputs for some test examples, in float64, keep the bound that the weights' errors give."""
    both = bounded_outputs(target.inputs[:BOUNDED], target.layers, found, network, settings)
    return {
        "bound_holds": both.holds,
        "bound_examples": len(both.bound),
        "bound_output_error": float(both.difference.max()),
        "output_bound": float(both.bound.max()),
    }


@torch.no_grad()
def forward(module: nn.Module, inputs: Tensor) -> Tensor:
    """The outputs of a module, in batches whose activations fit into little memory."""
    widths = [
        layer.weight.numel() if isinstance(layer, OwnUnits | OwnOutputs) else layer.out_features
        for layer in module.modules()
        if isinstance(layer, OwnUnits | OwnOutputs | nn.Linear)
    ]
    batch = max(1, _BYTES_AT_ONCE // (12 * max(widths)))  # float32, before and after each of two steps
    return torch.cat([module(some) for some in inputs.split(min(batch, 1000))])


def accuracy(task: Task, outputs: Tensor, labels: Tensor) -> float | None:
    """Accuracy, or R2, as the task measures it; None where it measures none."""
    found = float(task.means(task.totals(outputs[None], labels), labels)[0, 1])
    return found if math.isfinite(found) else None
