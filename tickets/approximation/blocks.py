"""Subsets that were found, on disk: a committed folder for each block of output units, so that a search can be resumed.

What is stored of a subset is its bits. The candidates are drawn again from the seed, and the sums are computed anew.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tickets.approximation.construction import Settings, drawn_values, groups_of
from tickets.approximation.subset_sum import Bits, Subsets
from tickets.approximation.target import Layer
from tickets.errors import DiskError, InputError
from tickets.store.arrays import decode, encode
from tickets.store.commit import commit
from tickets.store.durable import make_folder
from tickets.store.layout import Layout
from tickets.store.manifests import damaged, trusting_form
from tickets.store.reading import read_checked
from tickets.store.refused import explained
from tickets.store.sealed import json_bytes, read_json
from tickets.store.temporary import Permit, names_in

SUBSETS = "subsets.safetensors"
KIND = "subsets"
_BLOCK = re.compile(r"rows-(\d{6})-(\d{6})")
_SUBSETS_AT_ONCE = 50_000  # in a block: some seconds of search


def blocks_of(layer: Layer, settings: Settings) -> list[range]:
    """The blocks of output units of a layer, which are searched and committed together."""
    rows = len(layer.weight)
    step = max(1, _SUBSETS_AT_ONCE // len(groups_of(layer, settings)))
    return [range(first, min(first + step, rows)) for first in range(0, rows, step)]


def layer_folder(folder: Path, index: int) -> Path:
    """The folder of a layer's blocks."""
    return folder / f"layer-{index:03d}"


def write_block(
    folder: Path, of: str, index: int, rows: range, bits: Bits, seconds: float, permit: Permit | None = None
) -> None:
    """Commit the subsets of a block.

    Parameters
    ----------
    folder
        The approximation's folder.
    of
        The SHA-256 of the record that says what is approximated, and how.
    index, rows
        The layer and its output units.
    bits
        (rows, groups).
    seconds
        That the search took.
    permit
        See `tickets.store.commit`.
    """
    place = layer_folder(folder, index)
    try:
        make_folder(place, parents=False)
    except OSError as error:
        raise explained(error, place) or error from error
    manifest = {"kind": KIND, "of": of, "layer": index, "rows": [rows.start, rows.stop], "seconds": seconds}
    commit(place / _name(rows), {SUBSETS: encode({"bits": bits}, {"bits": bits.shape})}, manifest, permit)


def read_blocks(
    folder: Path, of: str, index: int, layer: Layer, settings: Settings
) -> Iterator[tuple[range, Bits, float]]:
    """The committed blocks of a layer: output units, their subsets, and the seconds that the search took.

    Raises
    ------
    InputError
        If one is damaged, or belongs to another approximation; the message says what to remove.
    """
    place = layer_folder(folder, index)
    if not place.is_dir():
        return
    wanted = {_name(rows): rows for rows in blocks_of(layer, settings)}
    for name in names_in(place):
        if not _BLOCK.fullmatch(name):
            continue
        if name not in wanted:
            raise InputError(f"{place / name}: is not a block of this layer; remove it, or name another folder (--out)")
        yield wanted[name], *_read_block(place / name, of, index, wanted[name], layer, settings)


def _read_block(block: Path, of: str, index: int, rows: range, layer: Layer, settings: Settings) -> tuple[Bits, float]:
    try:
        with trusting_form(block):
            manifest = read_json(block / Layout.MANIFEST)
            said = (manifest["kind"], manifest["of"], manifest["layer"], manifest["rows"])
            if said != (KIND, of, index, [rows.start, rows.stop]):
                raise damaged(block, "belongs to another approximation")
            bits = decode(read_checked(block, SUBSETS, manifest))["bits"]
            seconds = float(manifest["seconds"])
    except DiskError:
        raise
    except InputError as error:
        raise InputError(f"{error}; or remove {block}, and the same command searches it again") from error
    shape = (len(rows), len(groups_of(layer, settings)))
    if bits.dtype != np.int64 or bits.shape != shape or (bits.astype(np.int64) >> settings.candidates).any():
        raise damaged(block, f"has no {shape} subsets of {settings.candidates} candidates")
    return bits.astype(np.int64), seconds


def with_sums(bits: Bits, rows: range, layer: Layer, index: int, settings: Settings) -> Subsets:
    """Subsets with their sums, from candidates that are drawn again.

    Parameters
    ----------
    bits
        (rows, groups).
    rows
        The output units.
    layer, index
        The layer, and its place among the target's.
    settings
        Of the construction.
    """
    groups, sums = groups_of(layer, settings), np.zeros(bits.shape)
    for place, row in enumerate(rows):
        values = drawn_values(layer, index, row, groups, settings).astype(np.float64)
        numbers = np.broadcast_to(values, (len(groups), settings.candidates)) * groups.into[:, None]
        for k in range(settings.candidates):  # in the order in which the search adds them up
            sums[place] += np.where(bits[place] >> k & 1, numbers[:, k], 0.0)
    return Subsets(bits, sums)


def record_digest(record: dict[str, Any]) -> str:
    """The SHA-256 of a record."""
    return hashlib.sha256(json_bytes(record)).hexdigest()


def _name(rows: range) -> str:
    return f"rows-{rows.start:06d}-{rows.stop:06d}"
