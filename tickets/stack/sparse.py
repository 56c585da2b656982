"""Training by the surviving weights alone: pruned weights are not stored, and a step's time falls with the density.

For chains (see chain.py) on a CPU. Each network is trained by itself, some steps at a time, so that its tensors stay in
the processor's cache, and its numbers do not depend on the other networks of the stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.stack import kernels
from tickets.stack.chain import Link
from tickets.stack.feed import Feed, NetworkSeeds
from tickets.stack.networks import Stack, Tensors
from tickets.stack.optimizers import state_names
from tickets.stack.rows import RowLayout, lay_out_chain
from tickets.stack.schedules import learning_rate
from tickets.stack.shard import Stopped
from tickets.stack.trees import MisfitError, Tree, given, tensors_like, whole_number
from tickets.stack.wiring import Bools, Wiring, wire

Array = npt.NDArray[Any]

KINDS = {"sgd": kernels.SGD, "adam": kernels.ADAM, "adamw": kernels.ADAMW}
BLOCK_BYTES = 2**20  # of inputs, prepared for several steps at a time: they stay in the cache
PADDED = 128  # numbers that the optimizer's loop takes at a time; a remainder would be rounded in another way
MOST_STEPS = 64  # per kernel call; interrupts are checked between calls


class Sparse:
    """See Shard."""

    def __init__(
        self,
        links: Sequence[Link],
        start: Stack,
        seeds: Sequence[NetworkSeeds],
        examples: Examples,
        recipe: TrainConfig,
        device: torch.device,
    ) -> None:
        self._recipe, self._masks, self._layout = recipe, start.masks, lay_out_chain(links)
        self._has_state = bool(start.optimizer)
        self._feed = Feed(seeds, examples, recipe, device)
        self._moments = _moment_names(recipe)
        self._networks = [
            _Network(links, self._layout, wiring, start, index, self._moments)
            for index, wiring in enumerate(_wirings(links, self._layout, start))
        ]
        dtype = next(iter(start.parameters.values())).dtype
        self._itemsize, self._room = dtype.itemsize, _Room(dtype)
        places = self._feed.which.tolist()
        self._by_order = [
            [network for network, place in zip(self._networks, places, strict=True) if place == order]
            for order in range(len(self._feed.orders))
        ]

    def advance(self, first: int, last: int, tick: Callable[[int], None], stopped: Stopped) -> int:
        """See Shard.advance."""
        step_bytes = self._itemsize * self._layout.given_rows * self._recipe.batch_size
        block = min(max(1, BLOCK_BYTES // step_bytes), MOST_STEPS)
        for begin in range(first, last, block):
            if stopped.is_set():
                return begin
            steps = range(begin, min(begin + block, last))
            rates = np.array([learning_rate(self._recipe, step) for step in steps])
            for (examples, places, labels), networks in zip(self._feed.batches(steps), self._by_order, strict=True):
                tiles = self._tiles(examples, places)
                for network in networks:
                    network.train(tiles, labels.numpy(), self._recipe, rates, self._room)
                    tick(len(steps))
            self._has_state = True
        return last

    def _tiles(self, examples: Tensor, places: Tensor) -> Array:
        """The batches of examples at these places (steps, batch), as kernels.take_steps reads them."""
        layout, (steps, batch) = self._layout, places.shape
        columns = _whole(batch, kernels.VECTOR_BYTES // self._itemsize)
        tiles = self._room.of("tiles", steps * columns * layout.given_rows).reshape(steps, -1)
        tile = tile_columns(self._itemsize) // (kernels.SEVERAL if layout.images else 1)
        numbers = examples.flatten(1).contiguous().numpy()
        kernels.lay_out(numbers, places.numpy(), layout.given_rows, layout.given, layout.given_run, tile, tiles)
        return tiles

    def logits(self, x: Tensor) -> Tensor:
        """See Shard.logits."""
        tiles = self._tiles(x, torch.arange(len(x))[None])
        outputs = [torch.from_numpy(network.logits(tiles[0], self._room)) for network in self._networks]
        return torch.stack(outputs).transpose(1, 2)[:, : len(x)]  # (R, n, classes)

    def parameters(self) -> Tensors:
        """See Shard.parameters."""
        return self._whole([network.values for network in self._networks])

    def standing(self, step: int) -> Stack:
        """See Shard.standing."""
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

    def state(self) -> Tree:
        """See Shard.state: of the surviving weights alone."""
        networks = [{**network.arrays, "taken": network.taken} for network in self._networks]
        return {"networks": networks, "has_state": self._has_state}

    def restore(self, state: Tree, step: int) -> None:
        """See Shard.restore."""
        networks, has_state = given(state, "networks", "has_state")
        if not isinstance(networks, list) or len(networks) != len(self._networks) or not isinstance(has_state, bool):
            raise MisfitError(f"must be the states of {len(self._networks)} networks")
        found = []
        for mine, its in zip(self._networks, networks, strict=True):
            *arrays, taken = given(its, *mine.arrays, "taken")
            whole_number(taken, 0, step)
            found.append((tensors_like(dict(zip(mine.arrays, arrays, strict=True)), mine.arrays), taken))
        for mine, (tensors, taken) in zip(self._networks, found, strict=True):
            for name, tensor in mine.arrays.items():
                tensor.copy_(tensors[name])
            mine.taken = taken
        self._has_state = has_state

    def _whole(self, networks: Sequence[Mapping[str, Array]]) -> Tensors:
        """Whole tensors, (R, *shape), of each network's own."""
        return {name: torch.from_numpy(np.stack([network[name] for network in networks])) for name in networks[0]}


class _Network:
    """One network: its wiring, its surviving weights, its biases, and the optimizer's moments of them."""

    def __init__(
        self, links: Sequence[Link], layout: RowLayout, wiring: Wiring, start: Stack, index: int, moments: Sequence[str]
    ) -> None:
        self._links, self._layout, self._wiring = links, layout, wiring
        whole = {name: tensor[index].detach().numpy() for name, tensor in start.parameters.items()}
        self._dtype = whole[links[0].weight].dtype
        self._tile = tile_columns(self._dtype.itemsize)
        self._weights, self._biases = self._packed(whole)
        has_bias = np.repeat([link.bias is not None for link in links], [len(mask) for mask in wiring.masks])
        self._bias_learns = has_bias & ~wiring.idle
        states = [{name: t[index].numpy() for name, t in start.optimizer.get(key, {}).items()} for key in moments]
        packed = [self._packed(state) for state in states] + [self._packed({})] * (2 - len(moments))
        self._weight_moments = np.stack([weights for weights, _ in packed])
        self._bias_moments = np.stack([biases for _, biases in packed])
        steps = start.optimizer.get("step", {})
        self.taken = int(next(iter(steps.values()))[index]) if steps else 0

    def train(self, x: Array, labels: Array, recipe: TrainConfig, rates: Array, room: _Room) -> None:
        """Take the steps that `rates` has numbers for; see kernels.take_steps."""
        wiring, layout = self._wiring, self._layout
        space = kernels.Room(
            outputs=room.of("outputs", layout.output_rows * self._tile),
            slopes=room.of("slopes", layout.output_rows * self._tile),
            column=room.of("column", self._tile),
            gradients=room.of("gradients", len(self._weights)),
            bias_gradients=room.of("bias gradients", len(self._biases)),
            weights=room.of("weights", len(wiring.backward_edge)),
        )
        space.gradients[:], space.bias_gradients[:] = 0, 0
        kernels.take_steps(
            x, labels, layout.given_rows, layout.frame, wiring.idle, wiring.forward, wiring.backward,
            wiring.backward_edge, self._weights, self._biases, self._bias_learns, self._weight_moments,
            self._bias_moments, space, self._images(room), KINDS[recipe.optimizer], self.taken, rates, recipe.momentum,
            recipe.weight_decay,
        )  # fmt: skip
        self.taken += len(rates)

    def logits(self, x: Array, room: _Room) -> Array:
        """(classes, columns) of x (given rows x columns)."""
        wiring, layout = self._wiring, self._layout
        logits = np.empty((wiring.classes, len(x) // layout.given_rows), self._dtype)
        kernels.logits_of(
            x, layout.given_rows, layout.frame, wiring.idle, wiring.forward, self._weights, self._biases,
            room.of("outputs", layout.output_rows * self._tile), self._images(room), logits,
        )  # fmt: skip
        return logits

    def _images(self, room: _Room) -> kernels.Images | None:
        layout, lanes = self._layout, self._tile // kernels.SEVERAL
        if not layout.images:
            return None
        return kernels.Images(
            layers=layout.images,
            border=layout.image_border,
            slope_border=layout.slope_border,
            passed=room.of("passed", layout.image_rows * self._tile),
            chosen=room.of("chosen", layout.chosen_rows * self._tile),
            lines=room.of("lines", layout.line_rows * lanes),
            slopes=room.of("image slopes", layout.image_slope_rows * lanes),
            back=room.of("back", layout.back_rows * lanes),
            given=room.of("given", layout.flat_rows * self._tile),
            given_slopes=room.of("given slopes", layout.flat_rows * self._tile),
        )

    @property
    def arrays(self) -> Tensors:
        """All numbers that training changes, but for the number of steps taken; in the same memory."""
        numbers = {
            "weights": self._weights,
            "biases": self._biases,
            "weight_moments": self._weight_moments,
            "bias_moments": self._bias_moments,
        }
        return {name: torch.from_numpy(array) for name, array in numbers.items()}

    @property
    def values(self) -> dict[str, Array]:
        """Every parameter, whole."""
        return self._unpacked(self._weights, self._biases)

    def moments(self, index: int) -> dict[str, Array]:
        """One of the optimizer's moments of every parameter, whole."""
        return self._unpacked(self._weight_moments[index], self._bias_moments[index])

    def _packed(self, whole: Mapping[str, Array]) -> tuple[Array, Array]:
        """Whole tensors' surviving weights and biases, and zeros up to a multiple of PADDED; all 0 if none is given."""
        wiring = self._wiring
        edges, biases = (np.zeros(_whole(size, PADDED), self._dtype) for size in (wiring.edges, wiring.units))
        for link, mask, weights, units in self._parts() if whole else ():
            edges[weights] = whole[link.weight][mask]
            if link.bias is not None:
                biases[units] = whole[link.bias]
        return edges, biases

    def _unpacked(self, edges: Array, biases: Array) -> dict[str, Array]:
        """The inverse of `_packed`; pruned weights are 0."""
        whole: dict[str, Array] = {}
        for link, mask, weights, units in self._parts():
            whole[link.weight] = np.zeros(mask.shape, self._dtype)
            whole[link.weight][mask] = edges[weights]
            if link.bias is not None:
                whole[link.bias] = biases[units].copy()
        return whole

    def _parts(self) -> Iterator[tuple[Link, Bools, slice, slice]]:
        """Each layer with its mask, and which of all weights and units are its."""
        edge, starts = 0, self._wiring.starts
        for link, mask, first, last in zip(self._links, self._wiring.masks, starts, starts[1:], strict=False):
            count = int(np.count_nonzero(mask))
            yield link, mask, slice(edge, edge + count), slice(int(first), int(last))
            edge += count


def _wirings(links: Sequence[Link], layout: RowLayout, start: Stack) -> list[Wiring]:
    """Each network's wiring; networks with the same masks, as a ticket and its controls have, share one."""
    found: list[Wiring] = []
    for index in range(len(start)):
        masks = []
        for link in links:
            mask = start.masks.get(link.weight)  # a tensor that is not pruned has none
            shape = start.parameters[link.weight].shape[1:]
            masks.append(np.ones(shape, np.bool_) if mask is None else mask[index].numpy())
        same = (wiring for wiring in reversed(found) if all(map(np.array_equal, wiring.masks, masks)))
        found.append(next(same, None) or wire(masks, layout.columns))
    return found


class _Room:
    """Memory that the networks of a shard share, one after the other; the same at every call.

    It is allocated by torch, at multiples of 64 bytes, so that no row of whole vectors straddles two cache lines.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._held: dict[str, Array] = {}

    def of(self, use: str, size: int) -> Array:
        """(size,) numbers of room for one use, uninitialised."""
        held = self._held.get(use)
        if held is None or len(held) < size:
            held = self._held[use] = torch.empty(size, dtype=self._dtype).numpy()
        return held[:size]


def tile_columns(itemsize: int) -> int:
    """Examples in a tile, for numbers of so many bytes."""
    return kernels.SEVERAL * kernels.VECTOR_BYTES // itemsize


def _moment_names(recipe: TrainConfig) -> tuple[str, ...]:
    """The optimizer's states but for its step count, by torch.optim's names."""
    return tuple(name for name in state_names(recipe) if name != "step")


def _whole(count: int, size: int) -> int:
    """The least multiple of `size` that is not below `count`."""
    return -(-count // size) * size
