"""The tables of probes that committed rounds lack, and how those that they have differ from the campaign file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tickets.errors import InputError
from tickets.store.layout import Layout, cohort_folders, round_folders
from tickets.store.left_over import numbered
from tickets.store.reading import Manifest, damaged, read_checked, read_manifest
from tickets.store.tables import LABELS, decode_probe_table, probe_tables

if TYPE_CHECKING:
    from tickets.config.schema import Run


def unmeasured(run: Run, folder: Path) -> list[str]:
    """A line for each probe whose table is missing in some of a run's committed rounds.

    Parameters
    ----------
    run
        The run, as the campaign file has it.
    folder
        The run's folder; it need not exist.
    """
    lacking: dict[str, set[int]] = {probe.table: set() for probe in run.every_probe}
    for _, manifest in _rounds(folder):
        there = probe_tables(manifest["files"])
        for table, numbers in lacking.items():
            if table not in there:
                numbers.add(manifest["round"])
    return [
        f"probe {table}: no table of {numbered('round', numbers)}, committed before the campaign file named the probe"
        for table, numbers in lacking.items()
        if numbers
    ]


def check_measured(folder: Path, probes: Mapping[str, Mapping[str, Any]], columns: Mapping[str, Any]) -> None:
    """Raise InputError if a run's probes have other options or columns than its committed tables.

    Parameters
    ----------
    folder
        The run's folder; it need not exist.
    probes
        {table: {"name", "options"}}, for the run's probes.
    columns
        {table: {column: "number", "bool" or "string"}}, for the probes whose columns are known.
    """
    problems: list[str] = []
    seen: set[str] = set()
    for place, manifest in _rounds(folder):
        for table in probe_tables(manifest["files"]):
            if table in probes and table not in seen:
                seen.add(table)
                problems += _differences(place, manifest, table, probes[table], columns.get(table))
    if problems:
        raise InputError(problems)


def _differences(
    folder: Path, manifest: Manifest, table: str, probe: Mapping[str, Any], columns: Mapping[str, str] | None
) -> Iterator[str]:
    advice = "what is committed is never changed: use another folder (--out), or give the probe's function another name"
    then = manifest.get("probes", {}).get(table, {})
    for key in ("name", "options"):
        if key in then and then[key] != probe[key]:
            yield f"probe {table}: measured in {folder} with {key} = {then[key]}, now {probe[key]}; {advice}"
    file = table + Layout.TABLE
    try:
        found = decode_probe_table(read_checked(folder, file, manifest))
    except ValueError as error:
        raise damaged(folder / file, str(error)) from error
    own = {field.name: _kind(field.type) for field in list(found.schema)[len(LABELS) :] if field.name != "step"}
    if columns and len(found) and own != columns:
        yield f"probe {table}: measured in {folder} with the columns {own}, now {dict(columns)}; {advice}"


def _kind(of: pa.DataType) -> str:
    return {pa.string(): "string", pa.bool_(): "bool"}.get(of, "number")


def _rounds(folder: Path) -> Iterator[tuple[Path, Manifest]]:
    """The folder and the manifest of every committed part of a round."""
    for _, cohort in cohort_folders(folder) if folder.is_dir() else ():
        for _, _, place in round_folders(cohort):
            yield place, read_manifest(place)
