"""What `tickets verify` finds in the approximations of a campaign."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tickets.approximation.blocks import blocks_of, layer_folder, read_blocks, record_digest
from tickets.approximation.construction import Settings
from tickets.approximation.saved import (
    NETWORK,
    RECORD,
    RESULT,
    is_measured,
    layers_of,
    read_approximation,
    read_network,
    read_record,
)
from tickets.errors import InputError
from tickets.store.finding import Finding, unreadable
from tickets.store.layout import Layout
from tickets.store.temporary import names_in


def verify_approximations(campaign: Path) -> list[Finding]:
    """Find every difference between a campaign's approximations and what was committed.

    Compared are the size and SHA-256 of each file, the forms of the records, that each block of subsets belongs to its
    approximation, and that none is missing of one that was measured. Folders that hold something else, such as the
    tables of a sweep, are left out.

    Parameters
    ----------
    campaign
        The campaign's folder.
    """
    place = campaign / Layout.APPROXIMATIONS
    if not place.is_dir():
        return []
    return [finding for name in names_in(place) for finding in _of_one(place / name)]


def _of_one(folder: Path) -> Iterator[Finding]:
    parts = [one for one in (NETWORK, RESULT, layer_folder(Path(), 0).name) if (folder / one).exists()]
    if not (folder / RECORD).exists():
        if parts:
            yield Finding(str(folder / RECORD), "is missing")
        return
    try:
        record = read_record(folder)
    except InputError as error:
        yield unreadable(folder, RECORD, error)
        return
    settings, of = Settings(**record["settings"]), record_digest(record)
    measured = is_measured(folder)
    for index, layer in enumerate(layers_of(record)):
        try:
            there = {(rows.start, rows.stop) for rows, _, _ in read_blocks(folder, of, index, layer, settings)}
        except InputError as error:
            yield unreadable(layer_folder(folder, index), "", error)
            continue
        wanted = {(rows.start, rows.stop) for rows in blocks_of(layer, settings)}
        if measured and there != wanted:
            what = f"has {len(there)} of {len(wanted)} blocks of subsets, and the approximation was measured"
            yield Finding(str(layer_folder(folder, index)), what)
    if (folder / RESULT).exists() or (folder / NETWORK).exists():
        for name, read in (
            (RESULT, lambda: read_approximation(folder)),
            (NETWORK, lambda: read_network(folder, record)),
        ):
            try:
                read()
            except InputError as error:
                yield unreadable(folder, name, error)
