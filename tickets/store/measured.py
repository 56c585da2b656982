"""The tables of probes that committed rounds lack, and how those that they have differ from the campaign file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tickets.errors import InputError, UserCodeError
from tickets.store.layout import Layout, cohort_folders, probes_folders, round_folders
from tickets.store.left_over import numbered
from tickets.store.manifests import Manifest, trusting_form
from tickets.store.reading import Committed, read_checked
from tickets.store.tables import LABELS, decode_probe_table, probe_tables, row_limit

if TYPE_CHECKING:
    import pandas as pd

    from tickets.config.schema import Run

_ADVICE = (
    "what is committed is never changed: measure it as before, use another folder (--out), or give the probe's "
    "function another name"
)


def unmeasured(run: Run, folder: Path, committed: Committed | None = None) -> list[str]:
    """A line for each probe whose table is missing in some of a run's committed rounds.

    Parameters
    ----------
    run
        The run, as the campaign file has it.
    folder
        The run's folder; it need not exist.
    committed
        A cache of its manifests; by default a new one.
    """
    lacking: dict[str, set[int]] = {probe.table: set() for probe in run.every_probe}
    if not lacking:
        return []
    there: dict[tuple[Path, int, int], set[str]] = {}
    for place, manifest in _measured(folder, committed):
        tables = there.setdefault((place.parent, manifest["round"], manifest["part"]), set())
        tables |= set(probe_tables(manifest["files"]))
    for (_, number, _), found in there.items():
        for table in lacking.keys() - found:
            lacking[table].add(number)
    return [
        f"probe {table}: no table of {numbered('round', numbers)}, committed before the campaign file named the probe ("
        "`tickets probe` measures what is stored)"
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
    for place, manifest in _measured(folder):
        for table in probe_tables(manifest["files"]):
            if table in probes and table not in seen:
                seen.add(table)
                problems += _other_probe(place, manifest, table, probes[table])
    for table, (place, then) in _columns_of(folder, probes).items():
        if now := columns.get(table):
            problems += _other_columns(table, place, then, now)
    if problems:
        raise InputError(problems)


def check_tables(folder: Path, tables: Mapping[str, pd.DataFrame], probes: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise UserCodeError if tables of a round have other columns than those of the run's committed rounds.

    Parameters
    ----------
    folder
        The run's folder.
    tables
        What the run's probes gave, by table. Those without rows are passed over, here and in the rounds.
    probes
        {table: {"name", "options"}}, for the run's probes.
    """
    problems: list[str] = []
    measured = {name: _kinds_in_memory(table) for name, table in tables.items() if len(table)}
    for table, (place, then) in _columns_of(folder, measured).items():
        named = f"{table} ({probes[table]['name']!r})"
        problems += _other_columns(named, place, then, measured[table])
    if problems:
        raise UserCodeError(problems)


def _other_probe(folder: Path, manifest: Manifest, table: str, probe: Mapping[str, Any]) -> Iterator[str]:
    """A line for the name and one for the options, if the manifest has others."""
    then = manifest.get("probes", {}).get(table, {})
    for key in ("name", "options"):
        if key in then and then[key] != probe[key]:
            yield f"probe {table}: measured in {folder} with {key} = {then[key]}, now {probe[key]}; {_ADVICE}"


def _other_columns(named: str, folder: Path, then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """A line if the columns differ; their order does not matter."""
    if then != now:
        yield f"probe {named}: measured in {folder} with the columns {then}, now {dict(now)}; {_ADVICE}"


def _columns_of(folder: Path, tables: Iterable[str]) -> dict[str, tuple[Path, dict[str, str]]]:
    """The columns of each table in the first committed part of a round that has rows of it, and the folder of it."""
    wanted = set(tables)
    found: dict[str, tuple[Path, dict[str, str]]] = {}
    for place, manifest in _measured(folder):
        for name in sorted(wanted & set(probe_tables(manifest["files"]))):
            file = name + Layout.TABLE
            data = read_checked(place, file, manifest)
            with trusting_form(place / file):
                table = decode_probe_table(data, row_limit(manifest, file))
            if len(table):
                found[name] = place, _kinds(table)
                wanted.remove(name)
        if not wanted:
            break
    return found


def _kinds(table: pa.Table) -> dict[str, str]:
    """The kind of each of a probe's own columns."""
    kinds = {pa.string(): "string", pa.bool_(): "bool"}
    own = [field for field in list(table.schema)[len(LABELS) :] if field.name != "step"]
    return {field.name: kinds.get(field.type, "number") for field in own}


def _kinds_in_memory(table: pd.DataFrame) -> dict[str, str]:
    """The same of a table that is not committed yet."""
    own = [name for name in table.columns[len(LABELS) :] if name != "step"]
    return {name: _kind_of(table[name]) for name in own}


def _kind_of(column: pd.Series[Any]) -> str:
    import pandas as pd

    if pd.api.types.is_bool_dtype(column.dtype):
        return "bool"
    return "number" if pd.api.types.is_numeric_dtype(column.dtype) else "string"


def _measured(folder: Path, committed: Committed | None = None) -> Iterator[tuple[Path, Manifest]]:
    """The folder and the manifest of every committed part of a round, then of the tables measured afterwards."""
    committed = committed or Committed()
    for _, cohort in cohort_folders(folder) if folder.is_dir() else ():
        for _, _, place in round_folders(cohort):
            yield place, committed.manifest(place)
        for _, _, _, place in probes_folders(cohort):
            yield place, committed.manifest(place)
