"""Saved campaigns and runs as Python objects: tables, masks, and the values of networks before and after training."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickets.catalogue import Role
from tickets.coverage import Coverage
from tickets.errors import InputError, nearest
from tickets.roles import arms_by_label, comparison_notes, role
from tickets.store.configs import config_table
from tickets.store.derived import with_all_derived
from tickets.store.gathering import Parts, Tables
from tickets.store.known_runs import KnownRuns
from tickets.store.layout import Layout
from tickets.store.left_over import Asked, Trained
from tickets.store.manifests import trusting_form
from tickets.store.prunable import read_coverage
from tickets.store.reading import Committed
from tickets.store.registered import rounds_seen
from tickets.store.swept import Sweep
from tickets.store.tables import UNITS
from tickets.store.ticket import Ticket, read_ticket

if TYPE_CHECKING:
    import pandas as pd


class Saved:
    """The saved runs of one or several folders, as `load` returns them.

    The SHA-256 of every file is checked when the file is first used. No file is changed.

    Attributes
    ----------
    folders
        The folders, as passed to `load`.
    folder
        The first of them.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        runs: Mapping[str, Path],
        files: Mapping[str, Mapping[str, Any]],
        left_out: Mapping[str, str] | None,
        trust_code: bool | Collection[str],
        parts: Mapping[str, Parts | InputError],
        known: KnownRuns | None = None,
    ) -> None:
        self.folders = tuple(folders)
        self.folder = self.folders[0]
        self._runs = runs  # {run id: its folder}
        self._files = files  # {run id: the content of its run.json}
        self._left_out = None if left_out is None else dict(left_out)  # {run id: why}; None: damage is an error
        self._trust_code = {trust_code} if isinstance(trust_code, str) else trust_code
        self._parts = parts  # {run id: its committed folders, or why they cannot be listed}
        self._known = known  # the runs whose rows need not be read again; None in folders of few runs
        self._committed = Committed()
        self._asked = Asked()
        self._measured: dict[str, pd.DataFrame] = {}  # tables of probes that were read, by name
        self._places: dict[str, Mapping[Any, Any]] = {}  # the positions of each run's rows in them

    def __repr__(self) -> str:
        return f"Saved({self._where!r}, runs={self.runs})"

    @property
    def runs(self) -> list[str]:
        """The ids of the runs, sorted."""
        return sorted(self._runs)

    @property
    def damaged(self) -> dict[str, str]:
        """{run: why} for the runs that cannot be read and are not in `rounds`; empty without `skip_damaged`.

        A run whose run.json cannot be read appears under the name of its folder, and is not in `runs`.
        """
        if self._left_out is None:
            return {}
        _ = self._rounds
        return dict(self._left_out)

    @property
    def rounds(self) -> pd.DataFrame:
        """A row per run, replicate, round, arm and draw, in that order; arms are in the campaign's order.

        The last three columns, `last_step`, `steps_to_dense_loss` and `untrained_test_accuracy`, are computed from
        `curves`; see `tickets.store.derived`. The files are read at the first use.

        Raises
        ------
        InputError
            If a file is damaged, unless the runs were loaded with `skip_damaged`.
        """
        return self._rounds.copy()

    @property
    def curves(self) -> pd.DataFrame:
        """A row per run, replicate, round, arm, draw and evaluated step, in that order; otherwise as `rounds`."""
        return self._curves.copy()

    @property
    def units(self) -> pd.DataFrame:
        """The table of the probe `units`; empty if no run has it. See `tickets.probes.units.measure_units`.

        A row per run, replicate, round, arm, draw, evaluated step and hidden layer; otherwise as `rounds`.
        """
        return self.probe("units") if "units" in self.probes else UNITS.empty_table().to_pandas()

    @property
    def probes(self) -> dict[str, list[str]]:
        """{table: the runs that have it}, for every probe that was measured."""
        return self._tables.probes()

    def rounds_of(self, run: str | None = None) -> pd.DataFrame:
        """The rows of `rounds` of one run.

        Parameters
        ----------
        run
            The run's id; may be left out if there is only one run.
        """
        rows: pd.DataFrame = self._rounds.iloc[self._rows.get(self._one(run), [])]
        return rows

    def probe(self, name: str, run: str | None = None) -> pd.DataFrame:
        """A probe's table: run, replicate, round, density, arm, draw, step (of some), then the probe's own columns.

        The rows are in the order of `rounds`; those of one network and step are in the order in which the probe
        returned them. Rounds that were trained before the campaign file named the probe have no rows. If the tables of
        several runs have different columns, the result has all of them, with NaN or None where a run has none.

        Parameters
        ----------
        name
            The name of the table ("units"), or the function's ("my_probes:norms", whose table is "norms").
        run
            The id of a run; only its rows are returned.

        Raises
        ------
        InputError
            If no run has such a table; if the tables are of different functions with one name, or cannot be joined; or
            if a file is damaged, unless the runs were loaded with `skip_damaged`.
        """
        if name not in self._measured:
            self._measured[name] = self._tables.probe(name)
        table = self._measured[name]
        if run is None:
            return table.copy()
        if name not in self._places:
            self._places[name] = table.groupby("run", observed=True).indices
        rows: pd.DataFrame = table.iloc[self._places[name].get(self._one(run), [])]
        return rows

    def config(self, run: str | None = None) -> dict[str, Any]:
        """The complete configuration of a run, from its run.json.

        Parameters
        ----------
        run
            The run's id; may be left out if there is only one run.
        """
        return copy.deepcopy(dict(self._files[self._one(run)]["config"]))

    def registered(self, run: str | None = None, claim: str | None = None) -> int | None:
        """The number of rounds that had been trained when the run's verdict rule, or a claim, was first recorded.

        0 if it was recorded before training; None for a run that was saved before such things were recorded.

        Parameters
        ----------
        run
            The run's id; may be left out if there is only one run.
        claim
            The id of a claim; by default the verdict rule.
        """
        file = self._files[self._one(run)]
        claims = {one.get("id"): one for one in file["config"].get("claim", ())}
        if claim is not None and claim not in claims:
            raise InputError(f"claim = {claim!r}: no claim of this run{nearest(claim, claims)}")
        return rounds_seen(file, None if claim is None else claims[claim])

    def swept(self, run: str | None = None) -> dict[str, Any]:
        """{swept key: its value} of a run, by its campaign's campaign.toml; empty where nothing is swept.

        Parameters
        ----------
        run
            The run's id; may be left out if there is only one run.
        """
        return dict(self.sweep.point(self._one(run)))

    @cached_property
    def sweep(self) -> Sweep:
        """Which runs differ from one another in which swept keys."""
        return Sweep(self._runs)

    def claims(self) -> pd.DataFrame:
        """The answer to each claim, a row per run and claim; see `tickets.analysis.claims.claims`."""
        from tickets.analysis.claims import claims

        found: pd.DataFrame = claims(self)
        return found

    def roles(self, run: str | None = None) -> dict[str, Role]:
        """{arm: "ticket", "control" or "measurement"} for each arm of a run; see `tickets.roles.role`.

        Parameters
        ----------
        run
            The run's id; may be left out if there is only one run.
        """
        file = self._files[self._one(run)]
        return {arm: role(file, arm) for arm in arms_by_label(file["config"])}

    def notes(self, run: str | None = None) -> list[str]:
        """Notes for the comparison of a run's arms, such as different numbers of training steps, one line each.

        Parameters
        ----------
        run
            The run's id; may be left out if there is only one run.
        """
        return comparison_notes(self._files[self._one(run)])

    def coverage(self, run: str | None = None) -> Coverage | None:
        """Which of the network's weights are prunable; None if the run's files do not record it.

        Parameters
        ----------
        run
            The run's id; may be left out if there is only one run.
        """
        run = self._one(run)
        return read_coverage(self._runs[run], self._files[run])

    @property
    def configs(self) -> pd.DataFrame:
        """The configurations: a row per run, the column `run`, and a column per key of the configuration.

        Columns have dotted names, such as "train.learning_rate" and "model.name"; lists are tuples. To add the swept
        values to the results, merge the table with `rounds` on `run`.
        """
        return config_table({run: self._files[run]["config"] for run in self.runs})

    def left_over(self, run: str | None = None) -> list[str]:
        """What is saved of a run, and therefore in every table, but no longer in the campaign file: a line per kind.

        Parameters
        ----------
        run
            The run's id; may be left out if there is only one run.
        """
        run = self._one(run)
        own = self._rounds[list(Trained._fields)].iloc[self._rows.get(run, [])]
        there = (Trained(*map(_plain, key)) for key in own.itertuples(index=False))
        return self._asked.left_over(self._runs[run], self._files[run]["config"], there)

    def file(self, run: str | None = None) -> dict[str, Any]:
        """The content of a run's run.json.

        Parameters
        ----------
        run
            The run's id; may be left out if there is only one run.
        """
        return copy.deepcopy(dict(self._files[self._one(run)]))

    def ticket(self, replicate: int, round: int, run: str | None = None) -> Ticket:
        """The ticket of a replicate and round: its mask, and its values before and after training.

        Parameters
        ----------
        replicate
            The replicate.
        round
            The number of the round; 0 is the dense round.
        run
            The run's id; may be left out if there is only one run.

        Raises
        ------
        InputError
            If it was not saved; the message lists what was.
        """
        return self.arm(Layout.TICKET, replicate, round, run=run)

    def arm(self, name: str, replicate: int, round: int, draw: int = 0, run: str | None = None) -> Ticket:
        """A network of any arm; otherwise as `ticket`.

        Parameters
        ----------
        name
            The arm's label.
        replicate, round, run
            As for `ticket`.
        draw
            Which of the arm's draws, from 0.
        """
        run = self._one(run)
        with trusting_form(self._runs[run]):
            found = read_ticket(self._committed, self._runs[run], self._files[run], name, replicate, round, draw)
        return dataclasses.replace(found, trust_code=self.may_call(found.model["name"]))

    @cached_property
    def _tables(self) -> Tables:
        return Tables(self._committed, self._parts, self._left_out, self._arms, self._where)

    @cached_property
    def _arms(self) -> list[str]:
        """The labels of the arms of all runs, in the order of the rows."""
        return list(dict.fromkeys(label for run in self.runs for label in self._arms_of(run)))

    def _arms_of(self, run: str) -> Sequence[str]:
        if self._known is not None and run in self._known.runs:
            return self._known.runs[run].arms
        return list(arms_by_label(self._files[run].get("config", {})))

    @cached_property
    def _rounds(self) -> pd.DataFrame:
        if self._known is not None:
            return self._known.rounds(self._rounds_of, self._arms_of, self._arms, self._runs)
        return self._rounds_of(self.runs)

    def _rounds_of(self, runs: Sequence[str]) -> pd.DataFrame:
        """The rows of some runs, from their files; without those of damaged runs."""
        files = {run: self._files[run] for run in runs}
        if len(runs) == len(self._runs):
            return with_all_derived(self._tables.of(Layout.ROUNDS), self._curves, files)
        parts = {run: self._parts[run] for run in runs}
        tables = Tables(self._committed, parts, self._left_out, self._arms, self._where)
        return with_all_derived(tables.of(Layout.ROUNDS), tables.of(Layout.CURVES), files)

    @cached_property
    def _rows(self) -> Mapping[Any, Any]:
        """The positions of each run's rows in `rounds`."""
        rows: Mapping[Any, Any] = self._rounds.groupby("run").indices
        return rows

    @cached_property
    def _curves(self) -> pd.DataFrame:
        return self._tables.of(Layout.CURVES)

    def may_call(self, function: str) -> bool:
        """Whether a function outside the catalogue may be called, by the `trust_code` with which this was loaded.

        Parameters
        ----------
        function
            "module:function".
        """
        trusted = self._trust_code
        return trusted if isinstance(trusted, bool) else function in trusted

    @property
    def _where(self) -> str:
        return ", ".join(map(str, self.folders))

    def _one(self, run: str | None) -> str:
        if run is not None and run in self._runs:
            return run
        if run is None and len(self._runs) == 1:
            return self.runs[0]
        there_are = f"there are {', '.join(self.runs)}"
        if run is None:
            raise InputError(f"{self._where}: say which run; {there_are}")
        raise InputError(f"run = {run!r}: not in {self._where}{nearest(run, self.runs)} ({there_are})")


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else int(value)
