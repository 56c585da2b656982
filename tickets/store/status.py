"""The progress of each run of a campaign, from its committed rounds and its log."""

from __future__ import annotations

from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tickets.config import ArmConfig, Run, RunParser
from tickets.coverage import coverage_from_json
from tickets.errors import InputError
from tickets.opening import read_regular
from tickets.store.asked import asked_runs
from tickets.store.forked import in_processes
from tickets.store.index import FEWEST_RUNS, Index, Signature, signature
from tickets.store.layout import Layout, run_folders
from tickets.store.left_over import runs_left_over
from tickets.store.manifests import read_run
from tickets.store.plan import arm_options
from tickets.store.run_status import RunStatus, status_of_run, unusable
from tickets.store.sealed import LARGEST_JSON


def status(folder: str | Path, processes: int = 1) -> list[RunStatus]:
    """The status of every run that a folder's campaign.toml asks for, then of other saved runs.

    Nothing is written, except that a folder of many runs gets an index; see `tickets.store.index`.

    Parameters
    ----------
    folder
        A campaign's folder or a run's.
    processes
        The most processes that read; see `in_processes`.

    Raises
    ------
    InputError
        If there is neither a campaign.toml nor a run.
    """
    folder = Path(folder)
    for _ in range(_TRIES - 1):
        before = _campaign(folder)
        try:
            found = _read(folder, before, processes)
        except InputError:
            if _campaign(folder) == before:
                raise
            continue
        if _campaign(folder) == before:
            return found
    return _read(folder, _campaign(folder), processes)


def refresh_index(folder: Path) -> None:
    """Bring the index of a folder of many runs up to date, so that its next status is fast. It is not needed.

    Parameters
    ----------
    folder
        A campaign's folder.
    """
    with suppress(InputError):
        if len(run_folders(folder)) >= FEWEST_RUNS:
            status(folder)


_TRIES = 3  # while the campaign's file changes: it is not asking for what another file's campaign has trained since


def _campaign(folder: Path) -> bytes | None:
    """The content of a campaign's file; None if it cannot be read, which `asked_runs` reports."""
    file = folder / Layout.CAMPAIGN
    with suppress(InputError, OSError):
        return read_regular(file, at_most=LARGEST_JSON)
    return None


def _read(folder: Path, campaign: bytes | None, processes: int, with_index: bool = True) -> list[RunStatus]:
    there = {path.name: path for path in run_folders(folder)}
    index = Index(folder, campaign, _checked) if with_index and len(there) >= FEWEST_RUNS else None
    reader = _Reader(folder, index)
    names = reader.runs if index is None or index.asked is None else index.asked
    if not names and not there:
        raise InputError(
            f"{folder}: neither {Layout.CAMPAIGN} nor a saved run in it; give a folder that `tickets run` wrote"
        )
    asked = set(names)
    paths = [there.get(name, folder / name) for name in names] + [there[name] for name in there if name not in asked]
    found = reader.read(paths, asked, processes)
    if found is None:
        return _read(folder, campaign, processes, with_index=False)
    if index is not None and _campaign(folder) == campaign:
        index.write(reader.known_names)
    return [
        one if one.asked or not asked else replace(one, left_over=[*runs_left_over([one.run], asked), *one.left_over])
        for one in found
    ]


class _Reader:
    """Reads the status of the runs of a campaign's folder.

    Parameters
    ----------
    folder
        The campaign's folder.
    index
        Its index, if it has one.
    """

    def __init__(self, folder: Path, index: Index | None) -> None:
        self._folder, self._index = folder, index
        self._parser = RunParser()
        # {id of a run's arms: the arms, so that the id stays theirs, and `arm_options` of them}
        self._options: dict[int, tuple[tuple[ArmConfig, ...], dict[str, dict[str, Any]]]] = {}

    @cached_property
    def runs(self) -> dict[str, Run]:
        """The runs that campaign.toml asks for, by id."""
        return asked_runs(self._folder)

    @property
    def known_names(self) -> list[str] | None:
        """The names of `runs`, where they follow from campaign.toml alone."""
        if self._index is not None and self._index.asked is not None:
            return self._index.asked
        own_data = any(":" in run.data.name for run in self.runs.values())  # the number of examples is in run.json
        return None if own_data else list(self.runs)

    def read(self, paths: Sequence[Path], asked: Container[str], processes: int) -> list[RunStatus] | None:
        """The status of each run, from the index where it has it; None if the index names runs that are not asked for.

        Parameters
        ----------
        paths
            The folders of the runs; those of runs that wait need not exist.
        asked
            The names of those that campaign.toml asks for; others are measured by their own configuration.
        processes
            The most processes that read.
        """
        found: dict[Path, RunStatus] = {}
        for path in paths:
            known = None if self._index is None else self._index.find(path)
            if known is not None:
                found[path] = RunStatus(run=path.name, **known)
        others = [path for path in paths if path not in found]
        # campaign.toml is read here, and not in each process.
        if any(path.name in asked and path.name not in self.runs for path in others):
            return None

        def read(path: Path) -> tuple[Signature | None, RunStatus]:
            before = None if self._index is None else signature(path)
            one = self._status(path.name, self.runs[path.name], path, True) if path.name in asked else self._own(path)
            return before, one

        for path, (before, one) in zip(others, in_processes(read, others, processes), strict=True):
            found[path] = one
            # The reason may name a path, which is another one where the folder was moved to.
            if self._index is not None and str(self._folder) not in (one.why or ""):
                self._index.keep(path, before, _without_run(one))
        return [found[path] for path in paths]

    def _own(self, path: Path) -> RunStatus:
        try:
            run = self._parser.parse(read_run(path)["config"])
        except InputError as error:
            return unusable(path.name, f"{path / Layout.RUN}: cannot be used ({error})", asked=False)
        return self._status(path.name, run, path, False)

    def _status(self, name: str, run: Run, path: Path, asked: bool) -> RunStatus:
        if id(run.arms) not in self._options:
            self._options[id(run.arms)] = run.arms, arm_options(run.arms)
        return status_of_run(name, run, path, asked, self._options[id(run.arms)][1])


def _checked(value: Any) -> dict[str, Any]:
    """A status from an index, without the run's name; ValueError, TypeError or LookupError for anything else."""
    one: RunStatus = _form().validate_python({**value, "run": ""})
    if one.coverage is not None and coverage_from_json(one.coverage).as_json() != one.coverage:
        raise ValueError("not the coverage of a run")
    return _without_run(one)


def _without_run(one: RunStatus) -> dict[str, Any]:
    return {key: value for key, value in vars(one).items() if key != "run"}


@cache
def _form() -> TypeAdapter[RunStatus]:
    return TypeAdapter(RunStatus)
