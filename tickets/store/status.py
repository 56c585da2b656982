"""The progress of each run of a campaign, from its committed rounds and its log."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from tickets.config import ArmConfig, Run, RunParser
from tickets.coverage import coverage_from_json
from tickets.errors import InputError
from tickets.opening import read_regular
from tickets.store.asked import asked_runs
from tickets.store.forked import in_processes
from tickets.store.index import FEWEST_RUNS, Index, Signature, signature
from tickets.store.layout import Layout, run_folders
from tickets.store.left_over import left_over_saved, runs_left_over
from tickets.store.log import read_events
from tickets.store.measured import unmeasured
from tickets.store.plan import arm_options, plan, wanted_arms
from tickets.store.prunable import read_coverage
from tickets.store.reading import Committed, read_run
from tickets.store.sealed import LARGEST_JSON
from tickets.store.survey import SavedCohort, survey

State = Literal["done", "partial", "failed", "waiting"]


@dataclass(frozen=True)
class RunStatus:
    """The progress of one run, as JSON values.

    Attributes
    ----------
    run
        The run's id.
    state
        `done` (nothing is missing), `failed` (the last attempt failed), `waiting` (nothing trained yet) or `partial`.
    why
        The reason of a failure.
    rounds_done, rounds_wanted
        Numbers of rounds, including the dense one. A round is done when all its arms and draws are committed.
    replicates_done, replicates_wanted
        Numbers of replicates. A replicate is done when all its rounds are.
    trainings_done, trainings_wanted
        Numbers of networks.
    diverged
        The number of trained networks that diverged.
    missing_arms
        The arms that are missing in committed rounds.
    asked
        Whether campaign.toml asks for the run. If not, progress is measured against its own run.json.
    coverage
        Which weights are prunable, as `Coverage.as_json` returns it; None if unknown.
    left_over
        Saved results that the campaign file no longer asks for, one line for each kind.
    unmeasured
        The probes whose tables are missing in some committed rounds, one line each.
    """

    run: str
    state: State
    why: str | None
    rounds_done: int
    rounds_wanted: int
    replicates_done: int
    replicates_wanted: int
    trainings_done: int
    trainings_wanted: int
    diverged: int
    missing_arms: list[str]
    asked: bool
    coverage: dict[str, Any] | None = None
    left_over: list[str] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)


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


def failure(events: Iterable[Mapping[str, Any]]) -> str | None:
    """The reason of the last "failed" event after which there was no progress, or None.

    Progress is any other event of the same cohort, or one without a cohort. Any later event clears a failure without a
    cohort.

    Parameters
    ----------
    events
        The events of a run's log, oldest first.
    """
    failures: dict[object, str] = {}
    for event in events:
        cohort = event.get("cohort")
        if event.get("event") in ("lost", "probes"):
            continue  # by a process that was stopped for long, or that trains nothing; what others did since counts
        if event.get("event") == "failed":
            failures.pop(cohort, None)
            failures[cohort] = str(event.get("why", "no reason given"))
        elif cohort is None:
            failures.clear()
        else:
            failures.pop(cohort, None)
            failures.pop(None, None)
    return list(failures.values())[-1] if failures else None


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
            return _unusable(path.name, f"{path / Layout.RUN}: cannot be used ({error})", asked=False)
        return self._status(path.name, run, path, False)

    def _status(self, name: str, run: Run, path: Path, asked: bool) -> RunStatus:
        if id(run.arms) not in self._options:
            self._options[id(run.arms)] = run.arms, arm_options(run.arms)
        return _status(name, run, path, asked, self._options[id(run.arms)][1])


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


def _unusable(name: str, why: str, asked: bool, wanted: tuple[int, int, int] = (0, 0, 0)) -> RunStatus:
    return RunStatus(
        run=name,
        state="failed",
        why=why,
        rounds_done=0,
        rounds_wanted=wanted[0],
        replicates_done=0,
        replicates_wanted=wanted[1],
        trainings_done=0,
        trainings_wanted=wanted[2],
        diverged=0,
        missing_arms=[],
        asked=asked,
    )


def _status(name: str, run: Run, folder: Path, asked: bool, options: Mapping[str, Mapping[str, Any]]) -> RunStatus:
    wanted = (run.rounds + 1, run.replicates, (run.rounds + 1) * run.replicates * len(wanted_arms(run)))
    file = None
    with suppress(InputError):
        file = read_run(folder)
    committed = Committed(None if file is None else {folder: str(file["run"])})
    try:
        saved = survey(folder, committed)
        todo = plan(run, saved, options)
        why = failure(read_events(folder / Layout.LOG)) if todo else None
    except InputError as error:
        return _unusable(name, str(error), asked, wanted)
    rounds, replicates, trainings = _done(run, saved)
    state: State = "done" if not todo else "failed" if why else "partial" if trainings else "waiting"
    late = {arm for cohort in todo for planned in cohort.rounds if planned.part for arm, _ in planned.arms}
    return RunStatus(
        run=name,
        state=state,
        why=why,
        rounds_done=rounds,
        rounds_wanted=wanted[0],
        replicates_done=replicates,
        replicates_wanted=wanted[1],
        trainings_done=trainings,
        trainings_wanted=wanted[2],
        diverged=sum(found.diverged for cohort in saved for found in cohort.rounds.values()),
        missing_arms=[arm.label for arm in run.arms if arm.label in late],
        asked=asked,
        coverage=None if file is None else _coverage(folder, file),
        left_over=left_over_saved(run, saved),
        unmeasured=unmeasured(run, folder, committed),
    )


def _coverage(folder: Path, file: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        found = read_coverage(folder, file)
    except InputError:
        return None
    return None if found is None else found.as_json()


def _done(run: Run, saved: Sequence[SavedCohort]) -> tuple[int, int, int]:
    """(rounds, replicates, trainings) that are done, of those that the run asks for."""
    arms = set(wanted_arms(run))
    numbers = range(run.rounds + 1)
    trained = {
        (replicate, number): len(arms & cohort.rounds[number].trained)
        for cohort in saved
        for replicate in cohort.replicates
        for number in numbers
        if replicate < run.replicates and number in cohort.rounds
    }
    whole = {place for place, count in trained.items() if count == len(arms)}
    rounds = sum(all((replicate, number) in whole for replicate in range(run.replicates)) for number in numbers)
    replicates = sum(all((replicate, number) in whole for number in numbers) for replicate in range(run.replicates))
    return rounds, replicates, sum(trained.values())
