"""The progress of one run, from its committed rounds and its log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tickets.config import Run
from tickets.errors import InputError
from tickets.store.layout import Layout
from tickets.store.left_over import left_over_saved
from tickets.store.log import read_events
from tickets.store.manifests import read_run
from tickets.store.measured import unmeasured
from tickets.store.plan import plan, wanted_arms
from tickets.store.prunable import read_coverage
from tickets.store.reading import Committed
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


def status_of_run(
    name: str, run: Run, folder: Path, asked: bool, options: Mapping[str, Mapping[str, Any]]
) -> RunStatus:
    """The progress of a run, from what is saved of it.

    Parameters
    ----------
    name
        The run's id.
    run
        Its configuration: as campaign.toml asks for it, or its own.
    folder
        Its folder, which need not exist.
    asked
        Whether campaign.toml asks for it.
    options
        What `arm_options` gives for its arms.
    """
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
        return unusable(name, str(error), asked, wanted)
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


def unusable(name: str, why: str, asked: bool, wanted: tuple[int, int, int] = (0, 0, 0)) -> RunStatus:
    """The status of a run whose files cannot be used.

    Parameters
    ----------
    name, why, asked
        As in `RunStatus`.
    wanted
        The numbers of rounds, replicates and trainings that are asked for, if known.
    """
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
