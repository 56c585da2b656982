"""How many networks a bound on memory lets train at once.

What counts: everything that a stack's training needs, on the CPU also what its round keeps meanwhile. What does not:
the data set, Python and PyTorch themselves, and the files of a run as they are written. All in bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from tickets.config import TrainConfig
from tickets.stack.architecture import Prunable
from tickets.stack.convolutions import Met
from tickets.stack.layout import Layout
from tickets.stack.planes import lay_out_planes

EVALUATION_BYTES = {"cpu": 16 * 2**20, "cuda": 2**30}  # of activations: what a cache holds, or what fills a GPU
KEPT_BY_THE_ALLOCATOR = 1.2  # what is freed in small pieces is not all given back
RANKED = 48  # a weight that is ranked: its place, its score and its order, as they are and sorted
EDGE = 24  # a surviving weight by itself: value, two moments, where from, and for the way back where from and its place
TILE_BYTES = 256  # of one row of what `sparse` works in: a unit of a network, at one pixel, for some examples
VECTOR_BYTES = 64  # and of what it works in for fewer of them
WIRED = 48  # a surviving weight beside that while the wiring is made; later its gradient, and its value going back


@dataclass(frozen=True)
class Sizes:
    """One network's tensors. weights: of its parameters those that can be pruned. states: the optimizer's."""

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
        """A copy of the network as it stands in training: values, masks and states."""
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
    """What a round of so many networks keeps on the CPU, however few of them train at once.

    It is most when the last part has been trained: each replicate's initial values (twice), the values it rewinds to,
    and this and the next round's masks; the values and masks of the controls; the stack as it started, or in its
    place each network's initial and trained values; and the trained networks, part by part and joined. In round 0
    with `rewinds`, the networks at the rewind step likewise; in later rounds (if there are `rounds`) the initial and
    trained values of the round before.
    """
    controls = networks - replicates
    copies = 2 if networks > 1 else 1  # one network is one part, and nothing is joined
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
    """What finding the next round's masks takes: the weights that are ranked together, of one network at a time."""
    counts = [math.prod(tensor.shape) for tensor in prunable]
    return RANKED * (sum(counts) if scope == "global" else max(counts))


@dataclass(frozen=True)
class Training:
    """What networks take while they train: each of them, and each lane for the one that it is at."""

    each: int
    lane: int


def training_bytes(
    strategy: str, sizes: Sizes, batch_size: int, activations: int, inputs: int, density: float = 1.0
) -> Training:
    """What training by a strategy takes. activations, inputs: of one example. density: at most, of `sparse`.

    Stepwise, a network has its values, masks, keep bits (as wide as the weights), gradients and states. Of a batch's
    activations `layered` holds about one set for each network (`sparse` one for each lane, but it counts alike),
    `vectorised` two (outputs, and gradients on the way back), and `looped` two for each lane's network at hand, with a
    batch of inputs for every network. `sparse` holds EDGE for each surviving weight, a whole copy when it is asked for
    one, and WIRED at the beginning.
    """
    batch = batch_size * activations
    if strategy == "sparse":
        others = (sizes.parameters - sizes.weights) * sizes.masks // sizes.weights  # as many bytes a number
        surviving = math.ceil(density * sizes.masks) + others
        return Training(EDGE * surviving + sizes.parameters + batch, WIRED * surviving)
    held = 2 * sizes.parameters + sizes.buffers + sizes.weights + sizes.masks + sizes.states
    if strategy == "looped":
        return Training(held + batch_size * inputs, 2 * batch)
    return Training(held + (2 * batch if strategy == "vectorised" else batch), 0)


def image_bytes(sizes: Sizes, layout: Layout) -> Training:
    """What training by `sparse` takes where there are images, for a tile of which each lane has room.

    Any share of the weights may be left: those that are used once for an example hardly count among its
    multiplications.
    """
    numbers = sizes.parameters * sizes.masks // sizes.weights
    flat = 2 * (layout.flat_rows + layout.output_rows)
    room = (layout.given_rows + layout.image_rows + layout.chosen_rows + flat) * TILE_BYTES
    room += (layout.line_rows + layout.image_slope_rows + layout.back_rows) * VECTOR_BYTES
    return Training(EDGE * numbers + sizes.parameters, WIRED * numbers + room)


def plane_bytes(looped: Training, sizes: Sizes, met: Mapping[str, Sequence[Met]]) -> Training:
    """What training takes where convolutions go by planes: `looped`, their edges, and each lane's room for planes."""
    itemsize = sizes.weights // sizes.masks
    each = {(one.convolution, one.image) for times in met.values() for one in times}
    rooms = sum(itemsize * lay_out_planes(*one, itemsize).numbers for one in each)
    return Training(looped.each + EDGE * sizes.masks, looped.lane + rooms)


def networks_that_fit(bound: int, training: Training, lanes: int) -> int:
    """How many networks a bound in bytes lets train at once in so many lanes; at least one, whether it fits or not."""
    most = (bound - lanes * training.lane) // training.each
    if most < lanes:  # then there are as many lanes as networks
        most = bound // (training.each + training.lane)
    return max(1, most)


def activation_bytes(module: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> int:
    """Bytes that one example's outputs of all leaf modules take together, and the example itself."""
    total = dtype.itemsize * math.prod(input_shape)

    def count(layer: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal total
        if isinstance(output, Tensor):
            total += output.numel() * output.element_size()

    hooks = [layer.register_forward_hook(count) for layer in module.modules() if not list(layer.children())]
    training = module.training
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(1, *input_shape, dtype=dtype))
    finally:
        module.train(training)
        for hook in hooks:
            hook.remove()
    return total


def free_bytes(device: torch.device) -> int:
    """Memory that can be had on a device now, in bytes."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def evaluation_chunk(networks: int, activations: int, batch_size: int, device: torch.device) -> int:
    """Examples at a time in an evaluation: as many as keep the activations of so many networks in EVALUATION_BYTES.

    Never fewer than a training batch, whose activations fit as it is. It depends on nothing that changes from
    one start to the next, so that a resumed run sums in the same order.
    """
    return max(batch_size, min(10_000, EVALUATION_BYTES[device.type] // (networks * activations)))
