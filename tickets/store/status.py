"""The progress of each run of a campaign, from its committed rounds and its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tickets.config import Run, parse_run
from tickets.errors import InputError
from tickets.store.layout import Layout, run_folders
from tickets.store.left_over import asked_runs, left_over, networks_of, runs_left_over
from tickets.store.log import read_events
from tickets.store.measured import unmeasured
from tickets.store.plan import SavedCohort, plan, survey, wanted_arms
from tickets.store.prunable import read_coverage
from tickets.store.reading import read_json

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


def status(folder: str | Path) -> list[RunStatus]:
    """The status of every run that a folder's campaign.toml asks for, then of other saved runs. Nothing is written.

    Parameters
    ----------
    folder
        A campaign's folder or a run's.

    Raises
    ------
    InputError
        If there is neither a campaign.toml nor a run.
    """
    folder = Path(folder)
    there = {path.name: path for path in run_folders(folder)}
    asked = asked_runs(folder)
    if not asked and not there:
        raise InputError(
            f"{folder}: neither {Layout.CAMPAIGN} nor a saved run in it; give a folder that `tickets run` wrote"
        )
    statuses = [_status(name, run, there.get(name, folder / name), True) for name, run in asked.items()]
    others = [_unasked(path) for name, path in there.items() if name not in asked]
    if asked:
        others = [replace(one, left_over=[*runs_left_over([one.run], asked), *one.left_over]) for one in others]
    return statuses + others


def failure(events: Sequence[Mapping[str, Any]]) -> str | None:
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
        if event.get("event") == "lost":
            continue  # by a process that was stopped for long; what others did since is what counts
        if event.get("event") == "failed":
            failures.pop(cohort, None)
            failures[cohort] = str(event.get("why", "no reason given"))
        elif cohort is None:
            failures.clear()
        else:
            failures.pop(cohort, None)
            failures.pop(None, None)
    return list(failures.values())[-1] if failures else None


def _unasked(path: Path) -> RunStatus:
    try:
        file = read_json(path / Layout.RUN)
        run = parse_run(file["config"])
    except (InputError, KeyError) as error:
        return _unusable(path.name, f"{path / Layout.RUN}: cannot be used ({error})", asked=False)
    return _status(path.name, run, path, False)


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


def _status(name: str, run: Run, folder: Path, asked: bool) -> RunStatus:
    wanted = (run.rounds + 1, run.replicates, (run.rounds + 1) * run.replicates * len(wanted_arms(run)))
    try:
        saved = survey(folder)
        todo = plan(run, saved)
    except InputError as error:
        return _unusable(name, str(error), asked, wanted)
    rounds, replicates, trainings = _done(run, saved)
    why = failure(read_events(folder / Layout.LOG)) if todo else None
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
        coverage=_coverage(folder),
        left_over=left_over(run, networks_of(saved)),
        unmeasured=unmeasured(run, folder),
    )


def _coverage(folder: Path) -> dict[str, Any] | None:
    try:
        found = read_coverage(folder, read_json(folder / Layout.RUN))
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
