"""The straight line between two networks' values, and loss and accuracy at points of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tickets.probes.networks import Networks, Tensors
from tickets.random_state import untouched_generators
from tickets.stack.looped import EVALUATION_SEED, generators, seed_noise
from tickets.stack.precision import lowered

STATISTICS_FROM = 10_000  # training examples at most

BATCH_NORM = {True: "recomputed", False: "interpolated", None: "none"}
"""What is done with statistics of batch normalisation, by whether they are recomputed; None: there are none."""


def error_along(networks: Networks, one: Tensors, other: Tensors, at: Sequence[float], recompute: bool) -> Tensor:
    """Loss and accuracy on the test set at points of a line, (points, 2) float64 on the CPU.

    Parameters
    ----------
    networks
        Networks of the same architecture.
    one, other
        The ends, as stacks of one: every parameter and buffer, (1, *shape).
    at
        The points: 0 is the one end, 1 the other.
    recompute
        Whether to recompute statistics of batch normalisation at every point.
    """
    examples, recompute = networks.examples, recompute and has_statistics(networks)
    scores = []
    for place in at:
        values = between(one, other, place)
        if recompute:
            values = with_statistics(networks, values)
        scores.append(networks.score(examples.test_inputs, examples.test_labels, values)[0].cpu())
    return torch.stack(scores)


def between(one: Tensors, other: Tensors, at: float) -> dict[str, Tensor]:
    """one + at x (other - one); exact at both ends. Tensors of whole numbers are the nearer end's."""
    return {
        name: torch.lerp(value, other[name], at) if value.is_floating_point() else (value if at < 0.5 else other[name])
        for name, value in one.items()
    }


def has_statistics(networks: Networks) -> bool:
    """Whether the model normalises batches, by running statistics in evaluation mode."""
    return any(True for _ in _norms(networks.template))


@torch.no_grad()
def with_statistics(networks: Networks, values: Tensors) -> dict[str, Tensor]:
    """The values with other statistics of batch normalisation: those of training examples at these parameters.

    They are the cumulative average over batches, each of train.batch_size of the first STATISTICS_FROM examples or some
    more. Layers other than batch normalisation are in evaluation mode, so that no dropout adds to the variances.

    Parameters
    ----------
    networks
        Networks of the same architecture.
    values
        Every parameter and buffer of one network, (1, *shape).
    """
    module, inputs = networks.module(0, values), networks.examples.train_inputs[:STATISTICS_FROM]
    for norm in _norms(module):
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
        norm.train()
    # Not split(batch_size): a last batch of a single example has no variance.
    batches = inputs.tensor_split(max(1, len(inputs) // networks.run.train.batch_size))
    with untouched_generators(), generators(networks.device), lowered(networks.run.train.precision, networks.device):
        for batch in batches:
            seed_noise(EVALUATION_SEED, networks.device)
            module(batch.clone())
    found = dict(module.named_buffers())
    names = {name for name, buffer in found.items() if any(buffer is own for own in _statistics(module))}
    return {name: found[name].unsqueeze(0) if name in names else value for name, value in values.items()}


def _norms(module: nn.Module) -> Iterator[_BatchNorm]:
    for layer in module.modules():
        if isinstance(layer, _BatchNorm) and layer.track_running_stats and layer.running_mean is not None:
            yield layer


def _statistics(module: nn.Module) -> list[Tensor]:
    return [buffer for norm in _norms(module) for buffer in norm.buffers(recurse=False)]
