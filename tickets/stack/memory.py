"""How many networks a limit on memory lets train at once, whichever strategy trains them. All sizes are in bytes.

The estimate includes the memory of training (`Bytes`) and, on the CPU, the memory that the round holds. It excludes the
data set, Python and PyTorch themselves, and the files of a run while they are written.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
import torch
from torch import nn

from tickets.config import TrainConfig
from tickets.stack.architecture import Prunable

EVALUATION_BYTES = {"cpu": 16 * 2**20, "cuda": 2**30}  # of activations, in an evaluation: fits a CPU cache; fills a GPU
KEPT_BY_THE_ALLOCATOR = 1.2  # memory that is freed in small pieces is not all returned to the system
RANKED = 48  # for each weight that is ranked: its place, its score and its order, each unsorted and sorted


@dataclass(frozen=True)
class Sizes:
    """Bytes of one network's tensors.

    Parameters
    ----------
    parameters, buffers
        All of them.
    weights
        Those of its parameters that are prunable.
    masks
        The masks of these, a byte a weight.
    states
        The optimizer's state.
    """

    parameters: int
    buffers: int
    weights: int
    masks: int
    states: int

    @property
    def values(self) -> int:
        """Parameters and buffers."""
        return self.parameters + self.buffers

    @property
    def standing(self) -> int:
        """A copy of the network in training: values, masks and states."""
        return self.values + self.masks + self.states


def sizes_of(module: nn.Module, prunable: Sequence[Prunable], recipe: TrainConfig) -> Sizes:
    """The sizes of a template's networks under a recipe."""
    by_name = {name: parameter.numel() * parameter.element_size() for name, parameter in module.named_parameters()}
    parameters = sum(by_name.values())
    states = 2 if recipe.optimizer != "sgd" else 1 if recipe.momentum else 0
    return Sizes(
        parameters=parameters,
        buffers=sum(buffer.numel() * buffer.element_size() for buffer in module.buffers()),
        weights=sum(by_name[tensor.name] for tensor in prunable),
        masks=sum(math.prod(tensor.shape) for tensor in prunable),
        states=states * parameters,
    )


def round_bytes(sizes: Sizes, replicates: int, networks: int, *, rounds: int, rewinds: bool) -> int:
    """Peak memory that a round holds on the CPU, however few of its networks train at once.

    The peak is reached when the last shard has been trained. There are then: each replicate's initial values (twice),
    the values that it rewinds to, and the masks of this round and of the next; the values and masks of the controls;
    the stack at its start, or in its place the initial and trained values of each network; and the trained networks,
    shard by shard and joined. In round 0 of a run that rewinds also the networks at the rewind step, shard by shard and
    joined; in later rounds also the initial and trained values of the round before.

    Parameters
    ----------
    sizes
        Of one network.
    replicates
        Of the cohort.
    networks
        Of the round, tickets and controls.
    rounds
        Of the run, after the dense one.
    rewinds
        Whether a ticket starts from values and an optimizer state that a training has passed.
    """
    controls = networks - replicates
    copies = 2 if networks > 1 else 1  # one network is one shard, and nothing is joined
    trained = networks * copies * sizes.standing
    results = networks * 2 * sizes.values
    carried = sizes.states if rewinds else 0
    first = results
    if rewinds:
        first += trained + replicates * (sizes.values + sizes.states)
    later = results + controls * sizes.masks + replicates * carried
    later += max(networks * (sizes.values + sizes.masks + carried), results)
    chains = replicates * (3 * sizes.values + 2 * sizes.masks) + controls * (sizes.values + sizes.masks)
    return chains + trained + (max(first, later) if rounds else first)


def ranking_bytes(prunable: Sequence[Prunable], scope: str) -> int:
    """Memory that finding the next round's masks takes: for the weights of one network that are ranked together."""
    counts = [math.prod(tensor.shape) for tensor in prunable]
    return RANKED * (sum(counts) if scope == "global" else max(counts))


@dataclass(frozen=True)
class Bytes:
    """What a strategy takes while networks train.

    Parameters
    ----------
    each
        Bytes for each network.
    lane
        Bytes for each lane, whichever network it is training.
    """

    each: int
    lane: int = 0


def networks_that_fit(bound: int, taken: Bytes, lanes: int) -> int:
    """How many networks train at once within a bound in bytes; at least one, whether it fits or not."""
    most = (bound - lanes * taken.lane) // taken.each
    if most < lanes:  # then there are as many lanes as networks
        most = bound // (taken.each + taken.lane)
    return max(1, most)


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def evaluation_chunk(networks: int, activations: int, batch_size: int, device: torch.device) -> int:
    """Examples per chunk of an evaluation, so that the networks' activations stay within EVALUATION_BYTES.

    Never fewer than a training batch, whose activations fit anyway. Depends on nothing that changes from one start of
    a run to the next, so that a resumed run sums in the same order.
    """
    return max(batch_size, min(10_000, EVALUATION_BYTES[device.type] // (networks * activations)))
