"""The mask and the values of one network in the files of a committed round."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tickets.errors import InputError
from tickets.store.arrays import Array, Mask, arm_key, expand, unpack
from tickets.store.layout import Layout
from tickets.store.manifests import damaged, trusting_form
from tickets.store.reading import Committed, read_arrays, read_shapes


def read_trained(committed: Committed, folder: Path, replicate: int) -> dict[str, Array]:
    """Read every parameter and buffer of a replicate's ticket after its training.

    Parameters
    ----------
    committed
        The files whose hashes have been checked.
    folder
        The folder of the round.
    replicate
        The replicate.

    Raises
    ------
    InputError
        If the round was committed without the ticket's trained values.
    """
    if Layout.TRAINED not in committed.manifest(folder)["files"]:
        raise InputError(
            f"{folder}: has no {Layout.TRAINED}, and an arm's rule reads the trained values of this round "
            '(origin.trained); they are kept with store.trained = "ticket": with it, train the campaign in another '
            "folder (--out)"
        )
    mask = mask_of(committed, folder, Layout.TICKET, replicate, 0)
    return values_of(committed, folder, Layout.TRAINED, Layout.TICKET, replicate, 0, mask, {})


def mask_of(committed: Committed, folder: Path, arm: str, replicate: int, draw: int) -> dict[str, Mask]:
    """The mask that a round's folder has of one network, by prunable parameter."""
    path = committed.checked(folder, Layout.MASKS)
    packed = _arrays(path, arm, replicate, draw)
    shapes = read_shapes(path)
    if packed.keys() != shapes.keys():
        raise damaged(path, f"the mask of arm {arm!r}, replicate {replicate}, draw {draw} is not whole")
    with trusting_form(path):
        return {name: unpack(packed[name], shape) for name, shape in shapes.items()}


def values_of(
    committed: Committed,
    folder: Path,
    name: str,
    arm: str,
    replicate: int,
    draw: int,
    mask: Mapping[str, Mask],
    elsewhere: Mapping[str, Array],
) -> dict[str, Array]:
    """Every parameter and buffer. Pruned weights have the values in `elsewhere`, or 0 for parameters not in it."""
    path = committed.checked(folder, name)
    arrays = _arrays(path, arm, replicate, draw)
    order = [parameter for parameter in read_shapes(path) if parameter in arrays]
    with trusting_form(path):
        return {
            name: expand(arrays[name], mask[name], elsewhere.get(name)) if name in mask else arrays[name]
            for name in order
        }


def _arrays(path: Path, arm: str, replicate: int, draw: int) -> dict[str, Array]:
    """The arm's arrays by parameter. The keys of draw 0 have a suffix only if the arm has several draws."""
    keys = dict.fromkeys(arm_key(arm, draw, repeated) for repeated in (False, True))
    found = (read_arrays(path, f"{replicate}/{key}/") for key in keys)
    return next((arrays for arrays in found if arrays), {})
