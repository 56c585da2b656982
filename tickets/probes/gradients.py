"""The probe `gradients`: the length of the training loss's gradient by the surviving weights."""

from __future__ import annotations

import math
from contextlib import ExitStack

import pandas as pd
import torch
from torch import nn

from tickets.config.types import CountFromOne
from tickets.errors import InputError
from tickets.probes.chosen import bytes_at_once, chosen_examples, examples_at_once, pieces
from tickets.probes.networks import Networks
from tickets.probes.probe import alone, at_steps, without_trained, working_memory
from tickets.random_state import untouched_generators
from tickets.stack.anatomy import Anatomy
from tickets.stack.looped import EVALUATION_SEED, generators, seed_noise

ALL = "all"
COPIES = 2  # of the activations: forward and backward


def gradient_bytes(anatomy: Anatomy) -> int:
    """Bytes that measuring one network takes: two copies and a gradient of it, and a piece's activations twice."""
    parameters = sum(parameter.numel() for parameter in anatomy.module.parameters())
    return 12 * parameters + bytes_at_once(anatomy, COPIES)


@at_steps
@alone
@without_trained
@working_memory(gradient_bytes, one_by_one=True)
def gradients(networks: Networks, examples: CountFromOne = 1000, training: bool = False) -> pd.DataFrame:
    """Measure the gradient of the training loss by the surviving weights, at the start and at each evaluated step.

    A row for each network and prunable tensor, in the model's order, after a row of all of them together.

    | column | meaning |
    | --- | --- |
    | tensor | the name of the tensor, or "all" |
    | survivors | its surviving weights |
    | norm | the Euclidean length of the gradient of the mean loss by them; biases and pruned weights do not count |

    The loss is the run's training loss, without weight decay, in float32. It is measured on the same training examples
    at every step, in all rounds, arms and replicates. The network is in evaluation mode: no dropout, and batch
    normalisation by its running statistics, which before training are those of the constructor (mean 0, variance 1).
    With `training = true` it is in training mode: `train.batch_size` examples at a time, which are normalised by their
    own statistics, and dropout draws the same numbers each time. Of a network with a value that is not finite, `norm`
    is NaN; weights that the loss does not depend on have the gradient 0.

    Parameters
    ----------
    networks
        The networks.
    examples
        The number of training examples; all, if there are no more.
    training
        Whether the network is in training mode.

    Source: Evci, Ioannou, Keskin & Dauphin (2022), "Gradient Flow in Sparse Neural Networks and How Lottery Tickets
    Win", section 3.
    """
    inputs, targets = chosen_examples(networks, examples)
    finite = networks.finite.tolist()
    rows = []
    for index in range(len(networks)):
        squares = _squares(networks, index, inputs, targets, training) if finite[index] else {}
        squares = {name: squares.get(name, math.nan) for name in networks.masks}
        survivors = {name: int(mask[index].sum()) for name, mask in networks.masks.items()}
        for name, square in {ALL: math.fsum(squares.values()), **squares}.items():
            count = sum(survivors.values()) if name == ALL else survivors[name]
            rows.append({"network": index, "tensor": name, "survivors": count, "norm": math.sqrt(square)})
    return pd.DataFrame(rows)


def _squares(
    networks: Networks, index: int, inputs: torch.Tensor, targets: torch.Tensor, training: bool
) -> dict[str, float]:
    """By tensor, the sum of the squares of the gradient by the surviving weights."""
    most = networks.run.train.batch_size if training else examples_at_once(networks.context.anatomy, COPIES)
    with torch.enable_grad(), untouched_generators(), generators(networks.device), ExitStack() as entered:
        module = networks.module(index).train(training)
        if not training and any(isinstance(layer, nn.RNNBase) for layer in module.modules()):
            entered.enter_context(torch.backends.cudnn.flags(enabled=False))  # it has no gradient in this mode
        parameters = {name: one for name, one in module.named_parameters() if name in networks.masks}
        for x, y, share in pieces(inputs, targets, most):
            seed_noise(EVALUATION_SEED, networks.device)
            loss = networks.loss(module(x), y) * share
            if not loss.requires_grad:
                raise InputError("probe 'gradients': the loss depends on no weight of the network; leave the probe out")
            loss.backward()
    return {
        name: float((parameter.grad[networks.masks[name][index]].double() ** 2).sum())
        if parameter.grad is not None
        else 0.0
        for name, parameter in parameters.items()
    }
