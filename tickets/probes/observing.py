"""What is measured of networks while they train: called at each evaluated step, and saved in a round's checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch

from tickets.probes.networks import Tensors
from tickets.probes.rows import NETWORK, Columns
from tickets.stack.shard import UnsaveableError
from tickets.stack.trees import MisfitError, Tree, given, whole_number

Observe = Callable[[slice, int, Tensors], None]
Found = dict[tuple[int, int], Columns]
"""A probe's columns, by the first of the networks and the step of each call."""


class Observer:
    """What a training calls at each evaluated step, and what the probes carry from one step to the next.

    Parameters
    ----------
    observe
        Measures some networks.
    carries
        `Networks.carry` by the probe's table and the first of the networks; `observe` fills it.
    tables
        Of the probes that are called at steps.
    device
        Where the networks are trained.
    """

    def __init__(
        self,
        observe: Observe,
        carries: dict[tuple[str, int], dict[str, torch.Tensor]],
        tables: Sequence[str],
        device: torch.device,
    ) -> None:
        self._observe, self._carries, self._tables, self._device = observe, carries, tables, device

    def __call__(self, shard: slice, step: int, values: Tensors) -> None:
        """Measure the networks at these places of the stack."""
        self._observe(shard, step, values)

    def carried(self, shard: slice) -> Tree:
        """See Measured. Raises UnsaveableError for tensors that are more than their numbers."""
        for table in self._tables:
            carry = self._carries.get((table, shard.start), {})
            if any(tensor.layout != torch.strided for tensor in carry.values()):
                raise UnsaveableError(f"a tensor that the probe {table} carries is sparse; carry a dense one")
            places = {tensor.untyped_storage().data_ptr() for tensor in carry.values() if tensor.numel()}
            if len(places) < sum(tensor.numel() > 0 for tensor in carry.values()):
                raise UnsaveableError(f"tensors that the probe {table} carries share their memory; carry clones")
            if any(tensor.requires_grad for tensor in carry.values()):
                raise UnsaveableError(f"a tensor that the probe {table} carries requires gradients; carry it detached")
        return {
            table: {
                name: {"tensor": tensor, "here": tensor.device.type == self._device.type}
                for name, tensor in self._carries.get((table, shard.start), {}).items()
            }
            for table in self._tables
        }

    def carry_on(self, shard: slice, tree: Tree) -> None:
        """See Measured."""
        carries = {}
        for table, carry in zip(self._tables, given(tree, *self._tables), strict=True):
            if not isinstance(carry, dict):
                raise MisfitError(f"must have what the probe {table} carries")
            pairs = {name: given(one, "tensor", "here") for name, one in carry.items()}
            if not all(isinstance(tensor, torch.Tensor) for tensor, _ in pairs.values()):
                raise MisfitError(f"must have tensors that the probe {table} carries")
            carries[table, shard.start] = {
                name: tensor.to(self._device) if here else tensor for name, (tensor, here) in pairs.items()
            }
        self._carries.update(carries)


def tree_of(tables: Mapping[str, Found]) -> Tree:
    """What probes have measured so far, by table, as a tree."""
    return {
        table: [
            {"first": first, "step": step, "columns": {name: _tree_of(column) for name, column in columns.items()}}
            for (first, step), columns in list(found.items())  # at once, for other threads add to it
        ]
        for table, found in tables.items()
    }


def found_in(tree: Tree, tables: Iterable[str], networks: int) -> dict[str, Found]:
    """The inverse of `tree_of`. Raises MisfitError if it is anything else.

    tables: those of the round's probes. networks: how many the round has.
    """
    names = list(tables)
    found: dict[str, Found] = {}
    for table, calls in zip(names, given(tree, *names), strict=True):
        if not isinstance(calls, list):
            raise MisfitError(f"must have a list of what the probe {table} measured")
        found[table] = {}
        for call in calls:
            first, step, columns = given(call, "first", "step", "columns")
            key = whole_number(first, 0, networks - 1), whole_number(step, 0, 2**62)
            found[table][key] = _columns_of(columns, networks)
    return found


def _tree_of(column: np.ndarray) -> Tree:
    return column.tolist() if column.dtype == object else torch.from_numpy(np.array(column))


def _columns_of(tree: Tree, networks: int) -> Columns:
    """The columns of a call. Raises MisfitError if they are not columns of one length."""
    if not isinstance(tree, dict):
        raise MisfitError("must have the columns that a probe measured")
    columns: Columns = {}
    for name, one in tree.items():
        if isinstance(one, torch.Tensor) and one.dtype in (torch.bool, torch.int64, torch.float64):
            columns[name] = one.numpy().copy()
        elif isinstance(one, list) and all(isinstance(text, str) for text in one):
            columns[name] = np.array(one, dtype=object)
        else:
            raise MisfitError(f"the column {name!r} must have numbers, true and false, or texts")
    if not columns:
        return columns
    places = columns.get(NETWORK, np.empty(0))
    if places.dtype != np.int64 or ((places < 0) | (places >= networks)).any():
        raise MisfitError(f"the column {NETWORK!r} must have whole numbers from 0 to {networks - 1}")
    if any(column.shape != places.shape or column.ndim != 1 for column in columns.values()):
        raise MisfitError("the columns that a probe measured must be of one length")
    return columns
