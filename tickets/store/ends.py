"""How a round's tickets ended, where those of the next round go on from there: their values and optimizer states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tickets.store.arrays import Array, Mask, by_replicate, decode, encode, expand, squeeze
from tickets.store.contents import Network
from tickets.store.layout import Layout
from tickets.store.manifests import read_manifest, trusting_form
from tickets.store.reading import read_checked, read_round_masks

States = Mapping[int, Mapping[str, Array]]  # by replicate and "<parameter>/<state>"
Masks = Mapping[int, Mapping[str, Mask]]

STEP = "step"  # the state that counts steps, one number


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


def state_names(config: Mapping[str, Any]) -> frozenset[str] | None:
    """The states that the optimizer of a run keeps of each parameter; None if its configuration is empty."""
    if not config:
        return None
    train = config["train"]
    if train.get("optimizer") == "sgd":
        return frozenset({"momentum_buffer"}) if train.get("momentum") else frozenset()
    return frozenset({"exp_avg", "exp_avg_sq", STEP})


def state_problems(
    data: bytes, names: frozenset[str] | None, replicates: Sequence[int], masks: Masks, values: States
) -> Iterator[str]:
    """A replicate has no state, or a state is none of the optimizer's, of no parameter, or of another shape or type.

    Parameters
    ----------
    data
        The file's content.
    names
        The states that each parameter has, if it has any; see `state_names`. None if they are not known.
    replicates
        Those that must be there.
    masks
        The round's, by replicate and parameter; empty where states are stored whole.
    values
        The initial values of every parameter and buffer, by replicate.
    """
    found = by_replicate(decode(data))
    if sorted(found) != sorted(replicates):
        yield f"has states of replicates {sorted(found)}, must have those of {sorted(replicates)}"
    for replicate, arrays in found.items():
        kept: dict[str, set[str]] = {}
        for key, array in arrays.items():
            name, _, state = key.rpartition("/")
            value, mask = values.get(replicate, {}).get(name), masks.get(replicate, {}).get(name)
            if value is None:
                yield f"replicate {replicate}: {key} is of no parameter"
                continue
            kept.setdefault(name, set()).add(state)
            shape = () if state == STEP else value.shape if mask is None else (int(np.count_nonzero(mask)),)
            kind = np.dtype(np.float32) if state == STEP else value.dtype  # PyTorch counts steps so
            if (array.shape, array.dtype) != (shape, kind):
                found_form, form = _form(array.shape, array.dtype), _form(shape, kind)
                yield f"replicate {replicate}: {key} is {found_form}, but must be {form}"
        for name, states in kept.items():
            if names is not None and states != names:
                yield f"replicate {replicate}: {name} has the states {sorted(states)}, but must have {sorted(names)}"


def _form(shape: tuple[int, ...], kind: np.dtype[Any]) -> str:
    return f"{shape}" if kind == np.float32 else f"{shape} of {kind}"


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
