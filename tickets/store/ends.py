"""How a round's tickets ended, where those of the next round go on from there: their values and optimizer states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from tickets.store.arrays import Array, Mask, Shapes, by_replicate, decode, encode, expand, squeeze
from tickets.store.contents import Network
from tickets.store.layout import Layout
from tickets.store.reading import read_checked, read_manifest, read_round_masks, trusting_form

States = Mapping[int, Mapping[str, Array]]  # by replicate and "<parameter>/<state>"
Masks = Mapping[int, Mapping[str, Mask]]


def encode_states(states: States, masks: Masks) -> bytes:
    """Encode states as a safetensors file with keys `<replicate>/<parameter>/<state>`.

    Of a prunable parameter the entries of surviving weights alone are written, as of its values; the others are 0.

    Parameters
    ----------
    states
        {replicate: {"<parameter>/<state>": array of the parameter's shape, or of shape () for a step count}}.
    masks
        The round's masks, by replicate and parameter.
    """
    arrays = {
        f"{replicate}/{key}": _surviving(key, array, masks[replicate])
        for replicate, by_key in states.items()
        for key, array in by_key.items()
    }
    return encode(arrays, {})


def read_end_states(folder: Path) -> dict[int, dict[str, Array]]:
    """The states in which a round's tickets ended, whole: {replicate: {"<parameter>/<state>": array}}.

    Empty if none are saved: the optimizer has no state, or the next round does not go on with it.
    """
    manifest = read_manifest(folder)
    if Layout.OPTIMIZER not in manifest["files"]:
        return {}
    masks = read_round_masks(folder)
    data = read_checked(folder, Layout.OPTIMIZER, manifest)
    with trusting_form(folder / Layout.OPTIMIZER):
        return {
            replicate: {key: _whole(key, array, masks[replicate]) for key, array in arrays.items()}
            for replicate, arrays in by_replicate(decode(data)).items()
        }


def state_problems(data: bytes, replicates: list[int], masks: Masks, shapes: Shapes) -> Iterator[str]:
    """A replicate has no state, or a state is of no parameter or of another shape than its parameter's survivors.

    Parameters
    ----------
    data
        The file's content.
    replicates
        The round's.
    masks
        The round's, by replicate and parameter.
    shapes
        The shape of every parameter and buffer.
    """
    found = by_replicate(decode(data))
    if sorted(found) != sorted(replicates):
        yield f"has states of replicates {sorted(found)}, must have those of {sorted(replicates)}"
    for replicate, arrays in found.items():
        for key, array in arrays.items():
            name = key.rpartition("/")[0]
            mask = masks.get(replicate, {}).get(name)
            wanted = shapes.get(name) if mask is None else (int(np.count_nonzero(mask)),)
            if wanted is None or (array.shape != wanted and array.shape != ()):
                yield f"replicate {replicate}: {key} is {array.shape}, but must be {wanted or 'of a parameter'}"


def ticket_values(arrays: Mapping[Network, Mapping[str, Array]], of_round: Masks) -> States | None:
    """The ticket's whole values by replicate, pruned weights 0; None if they do not fit the masks."""
    tickets = {replicate: by_name for (replicate, arm, _), by_name in arrays.items() if arm == Layout.TICKET}
    try:
        return {
            replicate: {
                name: expand(array, of_round[replicate][name]) if name in of_round[replicate] else array
                for name, array in by_name.items()
            }
            for replicate, by_name in tickets.items()
        }
    except (KeyError, ValueError):
        return None  # `value_problems` says why


def _surviving(key: str, array: Array, masks: Mapping[str, Mask]) -> Array:
    mask = masks.get(key.rpartition("/")[0])
    return array if mask is None or array.shape == () else squeeze(array, mask)


def _whole(key: str, array: Array, masks: Mapping[str, Mask]) -> Array:
    mask = masks.get(key.rpartition("/")[0])
    return array if mask is None or array.shape == () else expand(array, mask)
