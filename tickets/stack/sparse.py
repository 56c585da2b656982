"""Training by the surviving weights alone: a pruned weight is not held, so that a step costs what its density does.

For chains of Linear and ReLU layers on a CPU. Each network is trained by itself, some steps at a time, so that what it
needs stays in the processor's cache, and so that its numbers do not depend on who else is in the stack.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.stack import kernels
from tickets.stack.feed import Feed, NetworkSeeds
from tickets.stack.layered import linear_names
from tickets.stack.networks import Stack, Tensors
from tickets.stack.schedules import learning_rate
from tickets.stack.wiring import Wiring, wire

Array = npt.NDArray[Any]
Layers = Sequence[tuple[str, str | None]]  # the names of each layer's weight and bias

KINDS = {"sgd": kernels.SGD, "adam": kernels.ADAM, "adamw": kernels.ADAMW}
BLOCK_BYTES = 2**20  # of input that is prepared at a time, for several steps: it stays in the cache
PADDED = 128  # the optimizer's loop takes so many numbers at a time; others would be rounded in another way
MOST_STEPS = 64  # at a time: after so many, an interrupt is noticed


class Sparse:
    """See Part."""

    def __init__(
        self,
        module: nn.Module,
        start: Stack,
        seeds: Sequence[NetworkSeeds],
        examples: Examples,
        recipe: TrainConfig,
        device: torch.device,
    ) -> None:
        self._layers, self._recipe, self._masks = linear_names(module), recipe, start.masks
        self._has_state = bool(start.optimizer)
        self._feed = Feed(seeds, examples, recipe, device)
        self._moments = _moment_names(recipe)
        self._networks = [
            _Network(self._layers, wiring, start, index, self._moments)
            for index, wiring in enumerate(_wirings(self._layers, start))
        ]
        self._inputs = self._networks[0].wiring.inputs
        dtype = next(iter(start.parameters.values())).dtype
        self._itemsize, self._tile, self._room = dtype.itemsize, tile_columns(dtype.itemsize), _Room(dtype)
        places = self._feed.which.tolist()
        self._by_order = [
            [network for network, place in zip(self._networks, places, strict=True) if place == order]
            for order in range(len(self._feed.orders))
        ]

    def advance(self, first: int, last: int, tick: Callable[[int], None], stopped: threading.Event) -> None:
        """See Part.advance."""
        block = min(max(1, BLOCK_BYTES // (self._itemsize * self._inputs * self._recipe.batch_size)), MOST_STEPS)
        for begin in range(first, last, block):
            if stopped.is_set():
                break
            steps = range(begin, min(begin + block, last))
            rates = np.array([learning_rate(self._recipe, step) for step in steps])
            for (examples, places, labels), networks in zip(self._feed.batches(steps), self._by_order, strict=True):
                tiles = self._tiles(examples, places)
                for network in networks:
                    network.train(tiles, labels.numpy(), self._recipe, rates, self._room)
                    tick(len(steps))
        self._has_state |= last > first

    def _tiles(self, examples: Tensor, places: Tensor) -> Array:
        """The batches of examples at these places (steps, batch), as kernels.take_steps reads them."""
        steps, batch = places.shape
        columns = _whole(batch, kernels.VECTOR_BYTES // self._itemsize)
        tiles = self._room.of("tiles", steps * columns * self._inputs).reshape(steps, -1)
        kernels.lay_out(examples.flatten(1).numpy(), places.numpy(), tiles)
        return tiles

    def logits(self, x: Tensor) -> Tensor:
        """See Part.logits."""
        examples = x.flatten(1)
        missing = -len(examples) % self._tile
        whole = functional.pad(examples, (0, 0, 0, missing)) if missing else examples
        tiles = whole.view(-1, self._tile, self._inputs).transpose(1, 2).contiguous().numpy()
        outputs = [torch.from_numpy(network.logits(tiles, self._room)) for network in self._networks]
        by_tile = torch.stack(outputs)  # (R, tiles, classes, columns)
        return by_tile.transpose(2, 3).flatten(1, 2)[:, : len(examples)]

    def parameters(self) -> Tensors:
        """See Part.parameters."""
        return self._whole([network.values for network in self._networks])

    def standing(self, step: int) -> Stack:
        """See Part.standing."""
        names = self._moments if self._has_state else ()
        optimizer = {
            name: self._whole([network.moments(index) for network in self._networks])
            for index, name in enumerate(names)
        }
        if names and self._recipe.optimizer != "sgd":
            taken = torch.tensor([float(network.taken) for network in self._networks])
            optimizer["step"] = {name: taken.clone() for name in optimizer[names[0]]}
        masks = {name: mask.clone() for name, mask in self._masks.items()}
        return Stack(self.parameters(), {}, masks, optimizer, step)

    def _whole(self, networks: Sequence[Mapping[str, Array]]) -> Tensors:
        """Whole tensors, (R, *shape), of each network's own."""
        return {name: torch.from_numpy(np.stack([network[name] for network in networks])) for name in networks[0]}


class _Network:
    """One network: its wiring, its surviving weights, its biases, and the optimizer's moments of them."""

    def __init__(self, layers: Layers, wiring: Wiring, start: Stack, index: int, moments: Sequence[str]) -> None:
        self._layers, self.wiring = layers, wiring
        whole = {name: tensor[index].detach().numpy() for name, tensor in start.parameters.items()}
        self._dtype = whole[layers[0][0]].dtype
        self._tile = tile_columns(self._dtype.itemsize)
        self._weights, self._biases = self._packed(whole)
        has_bias = np.repeat([bias is not None for _, bias in layers], [len(mask) for mask in wiring.masks])
        self._bias_learns = has_bias & ~wiring.idle
        states = [{name: t[index].numpy() for name, t in start.optimizer.get(key, {}).items()} for key in moments]
        packed = [self._packed(state) for state in states] + [self._packed({})] * (2 - len(moments))
        self._weight_moments = np.stack([weights for weights, _ in packed])
        self._bias_moments = np.stack([biases for _, biases in packed])
        steps = start.optimizer.get("step", {})
        self.taken = int(next(iter(steps.values()))[index]) if steps else 0

    def train(self, x: Array, labels: Array, recipe: TrainConfig, rates: Array, room: _Room) -> None:
        """Take the steps that `rates` has numbers for; see kernels.take_steps."""
        wiring = self.wiring
        gradients = room.of("gradients", len(self._weights))
        bias_gradients = room.of("bias_gradients", len(self._biases))
        gradients[:], bias_gradients[:] = 0, 0
        kernels.take_steps(
            x, labels, wiring.inputs, wiring.starts, wiring.idle, wiring.forward, wiring.backward, wiring.backward_edge,
            self._weights, self._biases, self._bias_learns, self._weight_moments, self._bias_moments,
            room.of("outputs", wiring.units * self._tile), room.of("slopes", wiring.units * self._tile),
            gradients, bias_gradients,
            room.of("back", len(wiring.backward_edge)), room.of("column", self._tile),
            KINDS[recipe.optimizer], self.taken, rates, recipe.momentum, recipe.weight_decay,
        )  # fmt: skip
        self.taken += len(rates)

    def logits(self, x: Array, room: _Room) -> Array:
        """(tiles, classes, columns) of x (tiles, inputs, columns)."""
        wiring = self.wiring
        logits = np.empty((len(x), wiring.classes, self._tile), self._dtype)
        outputs = room.of("outputs", wiring.units * self._tile).reshape(wiring.units, self._tile)
        kernels.logits_of(x, wiring.starts, wiring.idle, wiring.forward, self._weights, self._biases, outputs, logits)
        return logits

    @property
    def values(self) -> dict[str, Array]:
        """Every parameter, whole."""
        return self._unpacked(self._weights, self._biases)

    def moments(self, index: int) -> dict[str, Array]:
        """One of the optimizer's moments of every parameter, whole."""
        return self._unpacked(self._weight_moments[index], self._bias_moments[index])

    def _packed(self, whole: Mapping[str, Array]) -> tuple[Array, Array]:
        """Whole tensors' surviving weights and biases, and zeros up to a multiple of PADDED; all 0 if none is given."""
        wiring = self.wiring
        edges, biases = (np.zeros(_whole(size, PADDED), self._dtype) for size in (wiring.edges, wiring.units))
        if whole:
            kept = zip(self._layers, wiring.masks, strict=True)
            edges[: wiring.edges] = np.concatenate([whole[name][mask] for (name, _), mask in kept])
            nothing = [np.zeros(len(mask), self._dtype) for mask in wiring.masks]
            pairs = zip(self._layers, nothing, strict=True)
            biases[: wiring.units] = np.concatenate(
                [none if bias is None else whole[bias] for (_, bias), none in pairs]
            )
        return edges, biases

    def _unpacked(self, edges: Array, biases: Array) -> dict[str, Array]:
        """The inverse of `_packed`; pruned weights are 0."""
        whole: dict[str, Array] = {}
        edge, unit = 0, 0
        for (name, bias), mask in zip(self._layers, self.wiring.masks, strict=True):
            count = int(np.count_nonzero(mask))
            whole[name] = np.zeros(mask.shape, self._dtype)
            whole[name][mask] = edges[edge : edge + count]
            if bias is not None:
                whole[bias] = biases[unit : unit + len(mask)].copy()
            edge, unit = edge + count, unit + len(mask)
        return whole


def _wirings(layers: Layers, start: Stack) -> list[Wiring]:
    """Each network's wiring; networks with the same masks, as a ticket and its controls have, share one."""
    found: list[Wiring] = []
    for index in range(len(start)):
        masks = []
        for name, _ in layers:
            mask = start.masks.get(name)  # a tensor that is not pruned has none
            masks.append(np.ones(start.parameters[name].shape[1:], np.bool_) if mask is None else mask[index].numpy())
        same = (wiring for wiring in reversed(found) if all(map(np.array_equal, wiring.masks, masks)))
        found.append(next(same, None) or wire(masks))
    return found


class _Room:
    """Memory that the networks of a part work in one after the other, the same at every call.

    It is torch's, which begins at a multiple of 64 bytes, and so does each row of whole vectors then: none straddles
    two lines of the cache.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._held: dict[str, Array] = {}

    def of(self, use: str, size: int) -> Array:
        """(size,) of room for one use, holding anything."""
        held = self._held.get(use)
        if held is None or len(held) < size:
            held = self._held[use] = torch.empty(size, dtype=self._dtype).numpy()
        return held[:size]


def tile_columns(itemsize: int) -> int:
    """Examples in a tile, for numbers of so many bytes."""
    return kernels.SEVERAL * kernels.VECTOR_BYTES // itemsize


def _moment_names(recipe: TrainConfig) -> tuple[str, ...]:
    """The optimizer's state but for its step count, by torch's names."""
    if recipe.optimizer == "sgd":
        return ("momentum_buffer",) if recipe.momentum else ()
    return ("exp_avg", "exp_avg_sq")


def _whole(count: int, size: int) -> int:
    """The least multiple of `size` that is not below `count`."""
    return -(-count // size) * size
