"""One network that trains by its surviving weights alone: how they and their moments lie in memory, and its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tickets.config import TrainConfig
from tickets.stack import kernels
from tickets.stack.chain import Link
from tickets.stack.networks import Stack, Tensors
from tickets.stack.rows import RowLayout
from tickets.stack.wiring import Bools, Wiring

Array = npt.NDArray[Any]

KINDS = {"sgd": kernels.SGD, "adam": kernels.ADAM, "adamw": kernels.ADAMW}
PADDED = 128  # numbers that the optimizer's loop takes at a time; a remainder would be rounded in another way


class SparseNetwork:
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

    def train(self, x: Array, labels: Array, recipe: TrainConfig, rates: Array, room: SharedRoom) -> None:
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

    def logits(self, x: Array, room: SharedRoom) -> Array:
        """(classes, columns) of x (given rows x columns)."""
        wiring, layout = self._wiring, self._layout
        logits = np.empty((wiring.classes, len(x) // layout.given_rows), self._dtype)
        kernels.logits_of(
            x, layout.given_rows, layout.frame, wiring.idle, wiring.forward, self._weights, self._biases,
            room.of("outputs", layout.output_rows * self._tile), self._images(room), logits,
        )  # fmt: skip
        return logits

    def _images(self, room: SharedRoom) -> kernels.Images | None:
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
        edges, biases = (np.zeros(whole_multiple(size, PADDED), self._dtype) for size in (wiring.edges, wiring.units))
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


class SharedRoom:
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


def whole_multiple(count: int, size: int) -> int:
    """The least multiple of `size` that is not below `count`."""
    return -(-count // size) * size
