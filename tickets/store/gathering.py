"""Concatenate the tables of all committed rounds of several runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tickets.catalogue import table_of
from tickets.errors import InputError, nearest
from tickets.store.layout import Layout, cohort_folders, probes_folders, round_folders
from tickets.store.manifests import trusting_form
from tickets.store.reading import Committed, read_checked
from tickets.store.tables import (
    LABELS,
    SCHEMAS,
    check_labels,
    decode_probe_table,
    decode_table,
    join_probe_tables,
    probe_tables,
    row_limit,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Parts:
    """The committed folders of a run that have tables, as they were at one moment.

    Attributes
    ----------
    rounds
        Every part of every round.
    probes
        The folders of tables that were measured of these afterwards.
    """

    rounds: tuple[Path, ...]
    probes: tuple[Path, ...]


def parts_of(run: Path) -> Parts:
    """The committed folders of a run that have tables; InputError if a folder cannot be read."""
    cohorts = [cohort for _, cohort in cohort_folders(run)]
    rounds = {(cohort, number, part): folder for cohort in cohorts for number, part, folder in round_folders(cohort)}
    # What was measured of a round that was committed since then is left out with it.
    probes = [
        folder
        for cohort in cohorts
        for number, part, _, folder in probes_folders(cohort)
        if (cohort, number, part) in rounds
    ]
    return Parts(tuple(rounds.values()), tuple(probes))


class Tables:
    """The tables of several runs.

    Parameters
    ----------
    committed
        A cache of manifests.
    runs
        {run id: its committed folders, or why they cannot be listed}.
    left_out
        {run id: why}. A run with a damaged file is added to it, and is left out of every table that is read later. None
        to raise an error instead.
    arms
        The arms' labels, in the order of the rows. Other labels are sorted after them.
    where
        The folders, for error messages.
    """

    def __init__(
        self,
        committed: Committed,
        runs: Mapping[str, Parts | InputError],
        left_out: MutableMapping[str, str] | None,
        arms: Sequence[str],
        where: str,
    ) -> None:
        self._committed, self._runs, self._left_out = committed, runs, left_out
        self._arms, self._where = arms, where

    def of(self, file: str) -> pd.DataFrame:
        """The table `curves` or `rounds`, by file name."""
        schema = SCHEMAS[file]

        def read(folder: Path, run: str) -> pa.Table:
            manifest = self._committed.manifest(folder)
            data = read_checked(folder, file, manifest)
            with trusting_form(folder / file):
                table = decode_table(data, schema, row_limit(manifest, file))
                check_labels(table, manifest, run)
                return table

        return in_order(
            pa.concat_tables([schema.empty_table(), *self._read(read, self._places)]).to_pandas(), self._arms
        )

    def probes(self) -> dict[str, list[str]]:
        """{table: the runs that have it}, for the table of every probe."""
        found: dict[str, set[str]] = {}
        for run, folder in self._measured:
            try:
                tables = probe_tables(self._committed.manifest(folder)["files"])
            except InputError as error:
                self._leave_out(run, error)
                continue
            for table in tables:
                found.setdefault(table, set()).add(run)
        return {table: sorted(runs) for table, runs in sorted(found.items())}

    def probe(self, name: str) -> pd.DataFrame:
        """The rows of a probe's table; see `Saved.probe`."""
        table, there = table_of(name), self.probes()
        if table not in there:
            known = f"there are: {', '.join(there)}" if there else "no probe was measured"
            raise InputError(
                f"probe {name!r}: {self._where} has no table of it{nearest(table, there)} ({known}); name it in the "
                f'campaign file before training: probes = ["{name}"]; or measure what is stored: `tickets probe`'
            )
        functions: set[str] = set()

        def read(folder: Path, run: str) -> pa.Table | None:
            manifest, file = self._committed.manifest(folder), table + Layout.TABLE
            if file not in manifest["files"]:
                return None
            functions.add(manifest.get("probes", {}).get(table, {}).get("name", table))
            data = read_checked(folder, file, manifest)
            with trusting_form(folder / file):
                measured = decode_probe_table(data, row_limit(manifest, file))
                check_labels(measured, manifest, run)
                return measured

        tables = [found for found in self._read(read, self._measured) if found is not None]
        if len(functions) > 1:
            raise InputError(
                f"probe {name!r}: {self._where} has tables of several functions, {', '.join(sorted(functions))}; load "
                "their folders one by one"
            )
        if ":" in name and functions != {name}:
            raise InputError(f"probe {name!r}: the table {table!r} in {self._where} is that of {functions.pop()!r}")
        try:
            joined = join_probe_tables(
                [found for found in tables if len(found)] or tables[:1] or [LABELS.empty_table()]
            )
        except ValueError as error:
            raise InputError(f"probe {name!r}: {self._where}: {error}; load its folders one by one") from error
        return in_order(joined.to_pandas(), self._arms)

    @cached_property
    def _places(self) -> list[tuple[str, Path]]:
        """(run, folder) for every part of every committed round."""
        return self._folders(lambda parts: parts.rounds)

    @cached_property
    def _measured(self) -> list[tuple[str, Path]]:
        """(run, folder) for every folder that may have tables of probes."""
        return [*self._places, *self._folders(lambda parts: parts.probes)]

    def _folders(self, chosen: Callable[[Parts], Sequence[Path]]) -> list[tuple[str, Path]]:
        """(run, folder) for every folder that `chosen` gives of a run's."""
        places: list[tuple[str, Path]] = []
        for run, parts in self._runs.items():
            if isinstance(parts, InputError):
                self._leave_out(run, parts)
            else:
                places += [(run, folder) for folder in chosen(parts)]
        return places

    def _read(
        self, read: Callable[[Path, str], pa.Table | None], places: Sequence[tuple[str, Path]]
    ) -> list[pa.Table | None]:
        """The results of `read` for some folders, without those of damaged runs."""

        def of_place(place: tuple[str, Path]) -> pa.Table | None:
            try:
                return read(place[1], place[0])
            except InputError as error:
                self._leave_out(place[0], error)
                return None

        with ThreadPoolExecutor() as threads:
            parts = list(threads.map(of_place, places))
        left_out = self._left_out or {}
        return [part for (run, _), part in zip(places, parts, strict=True) if run not in left_out]

    def _leave_out(self, run: str, error: InputError) -> None:
        """Leave out a run with a damaged file, or raise the error if damaged runs are not to be skipped."""
        if self._left_out is None:
            raise error
        self._left_out.setdefault(run, str(error))


def in_order(frame: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """Sort rows by run, replicate, round, arm (in this order, unknown labels last), draw and step."""
    import pandas as pd

    ranks = {arm: rank for rank, arm in enumerate([*arms, *sorted(set(frame["arm"].unique()) - set(arms))])}
    keys = [
        frame["draw"],
        frame["arm"].map(ranks),
        frame["round"],
        frame["replicate"],
        pd.factorize(frame["run"], sort=True)[0],
    ]
    if "step" in frame:
        keys.insert(0, frame["step"])
    # lexsort's last key is the primary one. The sort is stable: the rows of one network and step keep their order.
    order = np.lexsort([np.asarray(key) for key in keys])
    return frame.iloc[order].reset_index(drop=True)
