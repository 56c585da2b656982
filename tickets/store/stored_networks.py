"""The networks of a committed round: their masks, and their values before and after training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickets.store.arrays import Array, Mask, arm_key, decode_shapes, expand
from tickets.store.contents import Network, networks, read_masks
from tickets.store.layout import Layout, round_folder, round_folders
from tickets.store.manifests import Manifest, damaged, keeps_own_mask, read_manifest, trusting_form
from tickets.store.own_models import own_model, whole_masks
from tickets.store.reading import read_checked
from tickets.store.shrunk import held_values


@dataclass(frozen=True)
class StoredNetwork:
    """One network of a committed round. The order of all mappings is the model's.

    Parameters
    ----------
    replicate
        The replicate.
    arm
        The arm's label.
    draw
        Which of the arm's draws.
    density
        The fraction of the prunable weights that remain, in [0, 1].
    mask
        {prunable parameter: its mask}, bool, of the parameter's shape.
    initial
        {name: values before training}, for every parameter and buffer. Pruned weights have the values that they keep:
        0, or in an arm with another rule for pruned weights the values that they are held at.
    trained
        The same after training; None if it was not stored.
    model
        The table `model` of a network that is not the run's model; None if it is.
    """

    replicate: int
    arm: str
    draw: int
    density: float
    mask: dict[str, Mask]
    initial: dict[str, Array]
    trained: dict[str, Array] | None
    model: Mapping[str, Any] | None = None


def read_networks(cohort: Path, number: int, before_part: int | None = None) -> list[StoredNetwork]:
    """Read the networks of a committed round, sorted by replicate, then in the order in which they were trained.

    Parameters
    ----------
    cohort
        The cohort's folder.
    number
        The round.
    before_part
        Read only the parts of the round before this one; None for all parts.

    Returns
    -------
    list of StoredNetwork
        Empty if nothing of the round is committed.

    Raises
    ------
    InputError
        If a file is damaged.
    """
    parts = [(part, folder) for found, part, folder in round_folders(cohort) if found == number]
    wanted = [folder for part, folder in parts if before_part is None or part < before_part]
    if not wanted:
        return []
    of_round = _masks(round_folder(cohort, number))
    found = [network for folder in wanted for network in _read_part(folder, of_round)]
    return sorted(found, key=lambda network: network.replicate)  # stable: the arms of one replicate keep their order


def read_part(cohort: Path, number: int, part: int) -> list[StoredNetwork]:
    """Read the networks of one committed part of a round, in the order of its replicates and arms.

    Parameters
    ----------
    cohort
        The cohort's folder.
    number, part
        The round and the part, which must be committed.

    Raises
    ------
    InputError
        If a file is damaged.
    """
    return _read_part(round_folder(cohort, number, part), _masks(round_folder(cohort, number)))


def _masks(folder: Path) -> dict[Network, dict[str, Mask]]:
    """The masks in a committed folder's own file."""
    data = read_checked(folder, Layout.MASKS, read_manifest(folder))
    with trusting_form(folder / Layout.MASKS):
        return read_masks(data)


def _read_part(folder: Path, of_round: dict[Network, dict[str, Mask]]) -> list[StoredNetwork]:
    with trusting_form(folder):
        return _networks_in(folder, of_round)


def _networks_in(folder: Path, of_round: dict[Network, dict[str, Mask]]) -> list[StoredNetwork]:
    manifest = read_manifest(folder)
    own = _masks(folder)
    started = _values(folder, Layout.WEIGHTS, manifest)
    ended = _values(folder, Layout.TRAINED, manifest) if Layout.TRAINED in manifest["files"] else {}
    rules = {entry["arm"]: str(entry.get("pruned", "zero")) for entry in manifest["arms"]}
    held = {
        (replicate, rule): held_values(folder, replicate, rule)
        for replicate in manifest["replicates"]
        for rule in set(rules.values())
    }
    read = []
    for replicate in manifest["replicates"]:
        for entry in manifest["arms"]:
            network: Network = (replicate, entry["arm"], entry["draw"])
            ticket: Network = (replicate, Layout.TICKET, 0)
            mask = own[network] if keeps_own_mask(manifest, entry["arm"]) else of_round[ticket]
            if network not in started:
                key = arm_key(entry["arm"], entry["draw"], False)
                raise damaged(folder / Layout.WEIGHTS, f"replicate {replicate}, arm {key} is not in it")
            model = own_model(manifest, entry["arm"])
            elsewhere = {} if model is not None else held[replicate, rules[entry["arm"]]]
            if model is not None:
                mask = whole_masks(started[network], of_round[ticket])
            squeezed = mask if model is None else {}
            read.append(
                StoredNetwork(
                    *network,
                    density=float(manifest["density"][str(replicate)]),
                    mask=mask,
                    initial=_whole(started[network], squeezed, elsewhere),
                    trained=_whole(ended[network], squeezed, elsewhere) if network in ended else None,
                    model=model,
                )
            )
    return read


def _values(folder: Path, name: str, manifest: Manifest) -> dict[Network, dict[str, Array]]:
    """{network: {parameter or buffer: surviving values, or the whole tensor}}, in the model's order."""
    data = read_checked(folder, name, manifest)
    order = list(decode_shapes(data))
    return {
        network: {parameter: arrays[parameter] for parameter in order if parameter in arrays}
        for network, arrays in networks(data).items()
    }


def _whole(arrays: dict[str, Array], mask: dict[str, Mask], elsewhere: Mapping[str, Array]) -> dict[str, Array]:
    """Tensors of full shape. Pruned weights have the values in `elsewhere`, or 0 for tensors not in it."""
    return {
        name: expand(array, mask[name], elsewhere.get(name)) if name in mask else array
        for name, array in arrays.items()
    }
