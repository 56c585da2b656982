"""Checks that what a campaign goes on with is as it was committed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from tickets.errors import InputError
from tickets.store.cohort_problems import cohort_problems
from tickets.store.layout import cohort_folders, not_folders, run_folders
from tickets.store.manifests import run_named
from tickets.store.plan import CohortPlan
from tickets.store.sealed import shortened
from tickets.store.survey import REPAIR

NO_FOLDER = "is no folder, and a folder of this name belongs there"


def check_names(folder: Path) -> None:
    """Check that each run of a campaign's folder is in the folder of its name, so that none is taken for another one.

    Parameters
    ----------
    folder
        The campaign's folder.

    Raises
    ------
    InputError
        If a run is in the folder of another one.
    """
    runs = run_folders(folder)
    if lines := [f"{path}: {wrong}" for path in runs if (wrong := name_problem(path, run_named(path)))]:
        raise InputError(lines)


def name_problem(run: Path, name: str | None) -> str | None:
    """How the name of a run's folder differs from the id in its run.json; None if it does not, or if that is unknown.

    Parameters
    ----------
    run
        The run's folder.
    name
        The id.
    """
    if name is None or name == run.name:
        return None
    return f"is of run {shortened(name, 200)}, and in the folder of another one; rename the folder"


def check_whole(run: Path, config: dict[str, Any], todo: Sequence[CohortPlan]) -> None:
    """Check that the cohorts of a run that are to go on are as they were committed.

    Parameters
    ----------
    run
        The run's folder.
    config
        Its configuration, as JSON values.
    todo
        What it lacks.

    Raises
    ------
    InputError
        With everything that differs.
    """
    advice = f"no round is trained on top of damaged ones: take them from a backup, or train them again ({REPAIR})"
    check_cohorts(run, config, {cohort.index for cohort in todo if cohort.exists}, advice, all_of_run=bool(todo))


def check_cohorts(
    run: Path, config: dict[str, Any], wanted: Collection[int], advice: str, all_of_run: bool = False
) -> None:
    """Check that some cohorts of a run are as they were committed.

    Parameters
    ----------
    run
        The run's folder.
    config
        Its configuration, as JSON values.
    wanted
        The numbers of the cohorts.
    advice
        What to do, for the end of the error.
    all_of_run
        Whether nothing else may be in the place of a round or cohort of the run.

    Raises
    ------
    InputError
        With everything that differs.
    """
    lines = [f"{path}: {NO_FOLDER}" for path in (not_folders(run) if all_of_run and run.is_dir() else ())]
    lines += [
        f"{finding.path}: {finding.what}"
        for index, cohort in (cohort_folders(run) if wanted else ())
        if index in wanted
        for finding in cohort_problems(cohort, run.name, config)
    ]
    if lines:
        more = [f"and {len(lines) - 10} more"] if len(lines) > 10 else []
        raise InputError([*lines[:10], *more, f"{run}: {advice}"])
