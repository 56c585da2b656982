"""The chains of a cohort's tickets as the store has them: tensors as arrays, and what a round begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tickets.chains import Chain, first_masks
from tickets.config import RewindConfig
from tickets.ready import ReadyRun
from tickets.stack.networks import Tensors
from tickets.store import (
    Committed,
    Layout,
    Shrunk,
    read_end_states,
    read_manifest,
    read_next_masks,
    read_optimizer,
    read_round_table,
    read_trained,
    read_values,
    round_folder,
)

Arrays = dict[str, np.ndarray]


def chains_before(ready: ReadyRun, folder: Path, number: int) -> tuple[Chain, ...]:
    """A cohort's replicates before a round, from what is committed.

    Parameters
    ----------
    ready
        The run.
    folder
        The cohort's folder.
    number
        The round.
    """
    theta0 = read_values(folder / Layout.INITIAL)
    before, files = round_folder(folder, number - 1), Committed()
    rewound, states = _started_from(ready.run.rewind, folder, before, files) if number > 0 else (theta0, {})
    masks = read_next_masks(before) if number > 0 else {}
    lost: set[int] = set()
    if number > 0:
        table = read_round_table(before)
        lost = set(table.loc[(table["arm"] == Layout.TICKET) & table["diverged"], "replicate"])
    return tuple(
        Chain(
            replicate=replicate,
            theta0=tensors_of(values),
            rewound=tensors_of(rewound.get(replicate, values)),
            optimizer=by_state(tensors_of(states.get(replicate, {}))),
            masks=tensors_of(masks[replicate]) if masks else first_masks(ready),
            diverged=replicate in lost,
            read_trained=trained_reader(files, before, replicate) if number > 0 else None,
        )
        for replicate, values in theta0.items()
    )


def _started_from(
    rewind: RewindConfig, folder: Path, before: Path, files: Committed
) -> tuple[Mapping[int, Arrays], Mapping[int, Arrays]]:
    """What the tickets after a committed round start from, by replicate: values, if not theta0; optimizer states."""
    if rewind.keeps_trained:
        replicates = read_manifest(before)["replicates"]
        states = read_end_states(before) if rewind.kind == "none" else {}
        return {replicate: read_trained(files, before, replicate) for replicate in replicates}, states
    if rewind.restores:
        return read_values(folder / Layout.REWIND), read_optimizer(folder / Layout.REWIND)
    return {}, {}


def trained_reader(files: Committed, folder: Path, replicate: int) -> Callable[[], Tensors]:
    """Reads the trained values of a replicate's ticket from the folder of its round."""
    return lambda: tensors_of(read_trained(files, folder, replicate))


def shrunk_reader(shrunk: Shrunk, number: int, chain: Chain) -> Callable[[], Tensors] | None:
    """Reads which pruned weights of a replicate had shrunk, from the rounds before round `number`."""
    return (lambda: tensors_of(shrunk.before(number, chain.replicate))) if number > 0 else None


def arrays_of(tensors: Mapping[str, Tensor]) -> Arrays:
    """Tensors on the CPU as arrays that share their memory."""
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def tensors_of(arrays: Mapping[str, np.ndarray]) -> Tensors:
    """Arrays as tensors; copies."""
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def by_parameter(optimizer: Mapping[str, Tensors]) -> Tensors:
    """{state: {parameter: tensor}} as {"parameter/state": tensor}."""
    return {f"{name}/{state}": value for state, values in optimizer.items() for name, value in values.items()}


def by_state(flat: Tensors) -> dict[str, Tensors]:
    """The inverse of `by_parameter`."""
    states: dict[str, Tensors] = {}
    for key, value in flat.items():
        name, _, state = key.rpartition("/")
        states.setdefault(state, {})[name] = value
    return states
