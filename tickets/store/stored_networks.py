"""The networks of a committed round, whole: masks, the values that they trained from and to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tickets.store.arrays import Array, Mask, arm_key, decode_shapes, expand
from tickets.store.contents import Network, networks, read_masks
from tickets.store.layout import Layout, round_folder, round_folders
from tickets.store.reading import (
    Manifest,
    damaged,
    keeps_own_mask,
    read_checked,
    read_manifest,
    read_values,
)


@dataclass(frozen=True)
class StoredNetwork:
    """One network of a committed round. The order of all mappings is the model's.

    Parameters
    ----------
    replicate, arm, draw
        Which it is; the arm by its label.
    density
        Fraction of the prunable weights that remain, in [0, 1].
    mask
        By prunable parameter, of its full shape.
    initial
        Every parameter and buffer, of its full shape, as it started training. Pruned weights are 0.0, or the values of
        the replicate before round 0 in an arm that keeps those.
    trained
        The same after training, None if it was not kept.
    """

    replicate: int
    arm: str
    draw: int
    density: float
    mask: dict[str, Mask]
    initial: dict[str, Array]
    trained: dict[str, Array] | None


def read_networks(cohort: Path, number: int, before_part: int | None = None) -> list[StoredNetwork]:
    """Read the networks of a committed round, by replicate, then in the order in which they were trained.

    Parameters
    ----------
    cohort
        The cohort's folder.
    number
        The round.
    before_part
        Only what was committed of the round before this part; None: all of it.

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
    whole = round_folder(cohort, number)
    of_round = read_masks(read_checked(whole, Layout.MASKS, read_manifest(whole)))
    found = [network for folder in wanted for network in _read_part(folder, of_round)]
    return sorted(found, key=lambda network: network.replicate)  # stable: the arms of one replicate keep their order


def _read_part(folder: Path, of_round: dict[Network, dict[str, Mask]]) -> list[StoredNetwork]:
    manifest = read_manifest(folder)
    own = read_masks(read_checked(folder, Layout.MASKS, manifest))
    started = _values(folder, Layout.WEIGHTS, manifest)
    ended = _values(folder, Layout.TRAINED, manifest) if Layout.TRAINED in manifest["files"] else {}
    keep_initial = {entry["arm"] for entry in manifest["arms"] if entry.get("pruned") == "initial"}
    theta0 = read_values(folder.parent / Layout.INITIAL) if keep_initial else {}
    read = []
    for replicate in manifest["replicates"]:
        for entry in manifest["arms"]:
            network: Network = (replicate, entry["arm"], entry["draw"])
            ticket: Network = (replicate, Layout.TICKET, 0)
            mask = own[network] if keeps_own_mask(manifest, entry["arm"]) else of_round[ticket]
            if network not in started:
                key = arm_key(entry["arm"], entry["draw"], False)
                raise damaged(folder / Layout.WEIGHTS, f"replicate {replicate}, arm {key} is not in it")
            elsewhere = theta0[replicate] if entry["arm"] in keep_initial else {}
            read.append(
                StoredNetwork(
                    *network,
                    density=float(manifest["density"][str(replicate)]),
                    mask=mask,
                    initial=_whole(started[network], mask, elsewhere),
                    trained=_whole(ended[network], mask, elsewhere) if network in ended else None,
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
    """Tensors of full shape. elsewhere: the values of pruned weights, by parameter; 0.0 where it has none."""
    return {
        name: expand(array, mask[name], elsewhere.get(name)) if name in mask else array
        for name, array in arrays.items()
    }
