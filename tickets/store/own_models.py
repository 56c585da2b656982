"""Networks of a round with another architecture than the run's: the arm `small_dense`.

The manifest of a round says so at the arm: `model` is the table `model` of its networks, `shapes` the shape of each of
their parameters and buffers. They have no masks, so that masks.safetensors has none of them, and their tensors are
stored whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tickets.store.arrays import Array, Mask
from tickets.store.manifests import Manifest, manifest_arm

Arrays = Mapping[str, Array]


def own_model(manifest: Manifest, arm: str) -> Mapping[str, Any] | None:
    """The table `model` of the arm with this label; None if its networks are the run's model."""
    model: Mapping[str, Any] | None = manifest_arm(manifest, arm).get("model")
    return model


def whole_masks(values: Arrays, prunable: Iterable[str]) -> dict[str, Mask]:
    """Masks that keep every weight of a network without masks.

    Parameters
    ----------
    values
        Its parameters and buffers.
    prunable
        The names of its prunable parameters, which are those of the run's model.
    """
    return {name: np.ones(values[name].shape, dtype=np.bool_) for name in prunable}


def wrong_network(mask: Mapping[str, Mask], of_round: Mapping[str, Mask]) -> str | None:
    """Why the masks of a network are not those of a narrower one that keeps all of its weights; None if they are.

    Parameters
    ----------
    mask
        Of the network.
    of_round
        The round's.
    """
    if mask.keys() != of_round.keys() or not all(one.all() for one in mask.values()):
        return "has no mask that keeps every weight"
    weights, left = (sum(int(np.count_nonzero(one)) for one in masks.values()) for masks in (mask, of_round))
    return f"has {weights:,} weights, more than the {left:,} of the round's mask" if weights > left else None


def own_model_problems(
    manifest: Manifest,
    arrays: Mapping[tuple[int, str, int], Arrays],
    of_round: Mapping[int, Mapping[str, Mask]],
    shapes: Mapping[str, tuple[int, ...]],
) -> Iterator[str]:
    """A network of another architecture has other tensors than its manifest says, or more weights than the ticket.

    Parameters
    ----------
    manifest
        Of the round.
    arrays
        The values of each network: replicate, arm, draw.
    of_round
        The masks of the round.
    shapes
        The shape of every parameter and buffer of the run's model.
    """
    for (replicate, arm, draw), by_name in arrays.items():
        if own_model(manifest, arm) is None:
            continue
        who = f"replicate {replicate}, arm {arm!r}, draw {draw}"
        wanted = {name: tuple(shape) for name, shape in manifest_arm(manifest, arm)["shapes"].items()}
        found = {name: array.shape for name, array in by_name.items()}
        for name in sorted(wanted.keys() | found.keys() | shapes.keys()):
            has, says = found.get(name, "missing"), wanted.get(name, "missing")
            if has != says:
                yield f"{who}: {name} is {has}, but the manifest says {says}"
            elif not _within(wanted.get(name, ()), shapes.get(name)):
                yield f"{who}: {name} is {has}, which is no narrower {shapes.get(name, 'parameter of the model')}"
        masks = of_round.get(replicate, {})
        left = sum(int(np.count_nonzero(mask)) for mask in masks.values())
        weights = sum(math.prod(found.get(name, ())) for name in masks)
        if weights > left:
            yield f"{who}: has {weights:,} weights, more than the {left:,} that the ticket has left"


def _within(shape: tuple[int, ...], whole: tuple[int, ...] | None) -> bool:
    return whole is not None and len(shape) == len(whole) and all(map(int.__le__, shape, whole))
