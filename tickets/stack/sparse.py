"""Training by the surviving weights alone: pruned weights are not stored, and a step's time falls with the density.

For chains (see chain.py) on a CPU. Each network is trained by itself, some steps at a time, so that its tensors stay in
the processor's cache, and its numbers do not depend on the other networks of the stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
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
from tickets.stack.sparse_network import Array, SharedRoom, SparseNetwork, tile_columns, whole_multiple
from tickets.stack.trees import MisfitError, Tree, given, tensors_like, whole_number
from tickets.stack.wiring import Wiring, wire

BLOCK_BYTES = 2**20  # of inputs, prepared for several steps at a time: they stay in the cache
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
            SparseNetwork(links, self._layout, wiring, start, index, self._moments)
            for index, wiring in enumerate(_wirings(links, self._layout, start))
        ]
        dtype = next(iter(start.parameters.values())).dtype
        self._itemsize, self._room = dtype.itemsize, SharedRoom(dtype)
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
        columns = whole_multiple(batch, kernels.VECTOR_BYTES // self._itemsize)
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


def _moment_names(recipe: TrainConfig) -> tuple[str, ...]:
    """The optimizer's states but for its step count, by torch.optim's names."""
    return tuple(name for name in state_names(recipe) if name != "step")
