"""Saved campaigns and runs, as Python objects: tables, masks and the values that networks started from."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from tickets.catalogue import Role
from tickets.coverage import Coverage
from tickets.errors import InputError, nearest
from tickets.roles import arms_by_label, comparison_notes, role
from tickets.store.configs import config_table
from tickets.store.derived import with_derived
from tickets.store.gathering import Tables
from tickets.store.layout import Layout
from tickets.store.left_over import Trained, left_over_of
from tickets.store.prunable import read_coverage
from tickets.store.reading import Committed
from tickets.store.registered import rounds_seen
from tickets.store.tables import UNITS
from tickets.store.ticket import Ticket, read_ticket


class Saved:
    """The saved runs of one folder or several, made by `load`. Every file is checked when it is used; none is changed.

    folders: as `load` was given them. folder: the first.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        runs: Mapping[str, Path],
        files: Mapping[str, Mapping[str, Any]],
        left_out: Mapping[str, str] | None = None,
        trust_code: bool | Collection[str] = False,
    ) -> None:
        self.folders = tuple(folders)
        self.folder = self.folders[0]
        self._runs = runs  # {run id: its folder}
        self._files = files  # {run id: what its run.json holds}
        self._left_out = None if left_out is None else dict(left_out)  # {run id: why}; None: damage is an error
        self._trust_code = {trust_code} if isinstance(trust_code, str) else trust_code
        self._committed = Committed()
        self._measured: dict[str, pd.DataFrame] = {}  # tables of probes, by the names that were asked for

    def __repr__(self) -> str:
        return f"Saved({self._where!r}, runs={self.runs})"

    @property
    def runs(self) -> list[str]:
        """The ids of the runs, sorted."""
        return sorted(self._runs)

    @property
    def damaged(self) -> dict[str, str]:
        """{run: why} of the runs that `rounds` lacks since they cannot be read, if `load` was told to skip them.

        A run whose run.json cannot be read has its folder's name, and is not in `runs`.
        """
        if self._left_out is None:
            return {}
        _ = self._rounds
        return dict(self._left_out)

    @property
    def rounds(self) -> pd.DataFrame:
        """A row per run, replicate, round, arm and draw, in that order; arms in the campaign's order.

        Its last two columns, `last_step` and `steps_to_dense_loss`, are not on disk: they follow from `curves`
        (`tickets.store.derived`). Read at the first use. Raises InputError if a file is damaged, unless `load` was
        told to skip.
        """
        return self._rounds.copy()

    @property
    def curves(self) -> pd.DataFrame:
        """A row per run, replicate, round, arm, draw and evaluated step, in that order; else as `rounds`."""
        return self._curves.copy()

    @property
    def units(self) -> pd.DataFrame:
        """The table of the probe `units`, empty if no run has it; see `tickets.probes.units.measure_units`.

        A row per run, replicate, round, arm, draw, evaluated step and hidden layer; else as `rounds`.
        """
        return self.probe("units") if "units" in self.probes else UNITS.empty_table().to_pandas()

    @property
    def probes(self) -> dict[str, list[str]]:
        """{table: the runs that have it} of every probe that was measured."""
        return self._tables.probes()

    def probe(self, name: str) -> pd.DataFrame:
        """A probe's table: run, replicate, round, density, arm, draw, (step,) then the probe's own columns.

        Rows in the order of `rounds`, those of one network and step as the probe gave them. Rounds that were trained
        before the campaign file named the probe have no rows. Of several runs with other columns the table has all of
        them: a run has no value (NaN or None) where it lacks one.

        Parameters
        ----------
        name
            The name of the table ("units"), or the function's ("my_probes:norms", whose table is "norms").

        Raises
        ------
        InputError
            If no run has such a table, listing those that are there; if the tables are of different functions of one
            name, or cannot be joined; or if a file is damaged, unless `load` was told to skip.
        """
        if name not in self._measured:
            self._measured[name] = self._tables.probe(name)
        return self._measured[name].copy()

    def config(self, run: str | None = None) -> dict[str, Any]:
        """A run's resolved configuration, from its run.json. `run` may be left out if there is just one."""
        return copy.deepcopy(dict(self._files[self._one(run)]["config"]))

    def registered(self, run: str | None = None) -> int | None:
        """How many rounds were there when the run's verdict rule was first seen: 0 if it was written before training.

        None for a run that was saved before this was recorded. `run` may be left out if there is just one.
        """
        return rounds_seen(self._files[self._one(run)])

    def roles(self, run: str | None = None) -> dict[str, Role]:
        """{arm: "ticket", "control" or "measurement"} of a run, by label; see `tickets.roles.role`. `run` as above."""
        file = self._files[self._one(run)]
        return {arm: role(file, arm) for arm in arms_by_label(file["config"])}

    def notes(self, run: str | None = None) -> list[str]:
        """What to know of a run's arms before they are compared, a line each. `run` as above."""
        return comparison_notes(self._files[self._one(run)])

    def coverage(self, run: str | None = None) -> Coverage | None:
        """Which of the network's weights are prunable; None if the run's files do not say. `run` as above."""
        run = self._one(run)
        return read_coverage(self._runs[run], self._files[run])

    @property
    def configs(self) -> pd.DataFrame:
        """A row per run, a column per setting: `run`, then run.json's configuration by dotted names.

        As in "train.learning_rate" and "model.name"; lists are tuples. It merges with `rounds` on `run`, so that what
        was swept stands beside what came of it.
        """
        return config_table({run: self._files[run]["config"] for run in self.runs})

    def left_over(self, run: str | None = None) -> list[str]:
        """What of a run is saved, and so in every table, and no longer in the campaign file: a line a kind.

        `run` may be left out if there is just one.
        """
        run = self._one(run)
        own = self._rounds[self._rounds["run"] == run]
        there = (Trained(*map(_plain, key)) for key in own[list(Trained._fields)].itertuples(index=False))
        return left_over_of(self._runs[run], self._files[run]["config"], there)

    def file(self, run: str | None = None) -> dict[str, Any]:
        """What a run's run.json holds. `run` may be left out if there is just one."""
        return copy.deepcopy(dict(self._files[self._one(run)]))

    def ticket(self, replicate: int, round: int, run: str | None = None) -> Ticket:
        """The ticket of a replicate and round: its mask and the values that it trained from.

        `run` may be left out if there is just one. Raises InputError, saying what there is, if this is not
        there.
        """
        return self.arm(Layout.TICKET, replicate, round, run=run)

    def arm(self, name: str, replicate: int, round: int, draw: int = 0, run: str | None = None) -> Ticket:
        """Any arm's mask and values; `run` and errors as for `ticket`."""
        run = self._one(run)
        found = read_ticket(self._committed, self._runs[run], self._files[run], name, replicate, round, draw)
        return dataclasses.replace(found, trust_code=self._may_call(found.model["name"]))

    @cached_property
    def _tables(self) -> Tables:
        configs = (self._files[run].get("config", {}) for run in self.runs)
        arms = list(dict.fromkeys(label for config in configs for label in arms_by_label(config)))
        return Tables(self._committed, self._runs, self._left_out, arms, self._where)

    @cached_property
    def _rounds(self) -> pd.DataFrame:
        rounds, curves = self._tables.of(Layout.ROUNDS), self._curves
        # A run whose curves are damaged is left out of both tables.
        return with_derived(rounds[rounds["run"].isin(curves["run"])].reset_index(drop=True), curves)

    @cached_property
    def _curves(self) -> pd.DataFrame:
        return self._tables.of(Layout.CURVES)

    def _may_call(self, function: str) -> bool:
        trusted = self._trust_code
        return trusted if isinstance(trusted, bool) else function in trusted

    @property
    def _where(self) -> str:
        return ", ".join(map(str, self.folders))

    def _one(self, run: str | None) -> str:
        there_are = f"there are {', '.join(self.runs)}"
        if run is None and len(self._runs) > 1:
            raise InputError(f"{self._where}: say which run; {there_are}")
        if run is not None and run not in self._runs:
            raise InputError(f"run = {run!r}: not in {self._where}{nearest(run, self.runs)} ({there_are})")
        return self.runs[0] if run is None else run


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else int(value)
