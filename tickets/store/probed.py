"""Tables of probes that were measured after a round was committed: a folder beside it for each measurement."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickets.errors import InputError
from tickets.store.commit import commit
from tickets.store.layout import Layout, probes_folder, probes_folders, round_folder
from tickets.store.manifests import Manifest, identity_of, read_manifest
from tickets.store.tables import encode_probe_table, probe_tables
from tickets.store.temporary import Permit

if TYPE_CHECKING:
    import pandas as pd

KIND = "probes"
_SAME = ("replicates", "arms", "density")  # fields that the manifest has from that of the part of the round


def write_tables(
    cohort: Path,
    number: int,
    part: int,
    tables: Mapping[str, pd.DataFrame],
    probes: Mapping[str, Mapping[str, Any]],
    *,
    permit: Permit | None = None,
    **more: Any,
) -> Path:
    """Commit tables that were measured of a committed part of a round, and return their folder.

    Parameters
    ----------
    cohort
        The cohort's folder.
    number, part
        The round and the part.
    tables
        {file name without ".parquet": table}.
    probes
        {table: {"name", "options"}}.
    permit
        See `commit`.
    **more
        Further fields of the manifest, as JSON values.
    """
    of_round = read_manifest(round_folder(cohort, number, part))
    taken = [index for found, of, index, _ in probes_folders(cohort) if (found, of) == (number, part)]
    target = probes_folder(cohort, number, part, max(taken, default=-1) + 1)
    files = {name + Layout.TABLE: functools.partial(encode_probe_table, table) for name, table in tables.items()}
    manifest = {
        **identity_of(target),
        "kind": KIND,
        "round": number,
        "part": part,
        **{key: of_round[key] for key in _SAME},
        "probes": {name: {**probes[name], "rows": len(table)} for name, table in tables.items()},
        **more,
    }
    commit(target, files, manifest, permit)
    return target


def tables_of(cohort: Path, number: int, part: int) -> set[str]:
    """The names of the probes' tables that are committed of a part of a round, in training or afterwards."""
    folders = [folder for found, of, _, folder in probes_folders(cohort) if (found, of) == (number, part)]
    manifests = map(read_manifest, (round_folder(cohort, number, part), *folders))
    return {table for manifest in manifests for table in probe_tables(manifest["files"])}


def probed_problems(folder: Path, manifest: Manifest, number: int, part: int) -> Iterator[str]:
    """The manifest of a folder of tables disagrees with the folder's name or with the round, or repeats a table.

    Parameters
    ----------
    folder
        The folder.
    manifest
        Its manifest.
    number, part
        The round and the part that the folder's name says.
    """
    said = tuple(manifest.get(key) for key in ("kind", "round", "part"))
    if said != (KIND, number, part):
        yield f"is the manifest of {said[0]} of round {said[1]}, part {said[2]}"
        return
    place = round_folder(folder.parent, number, part)
    try:
        of_round = read_manifest(place)
    except InputError:
        yield f"is of {place.name}, which is not committed"
        return
    if differ := [key for key in _SAME if manifest.get(key) != of_round[key]]:
        yield f"has another {' and '.join(differ)} than the manifest of {place.name}"
    own = set(probe_tables(manifest["files"]))
    if own != set(manifest.get("probes", {})):
        yield f"has the tables {sorted(own)}, but names the probes {sorted(manifest.get('probes', {}))}"
    earlier = [other for found, of, _, other in probes_folders(folder.parent) if (found, of) == (number, part)]
    for other in (place, *(other for other in earlier if other.name < folder.name)):
        try:
            twice = own & set(probe_tables(read_manifest(other)["files"]))
        except InputError:
            continue  # reported where that folder is checked
        if twice:
            yield f"has the tables {sorted(twice)}, which {other.name} has too"
