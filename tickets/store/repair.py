"""Move damaged committed folders and files out of the way, so that they are trained again.

Nothing is removed. A damaged round alone is moved: it has the same bits when it is trained again on the same machine,
and the rounds after it still fit. Where they do not, `verify` finds that, and they are moved in a second pass.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from tickets.errors import DiskError, InputError
from tickets.store.cohort_problems import cohort_problems
from tickets.store.commit import replace_file
from tickets.store.finding import unreadable
from tickets.store.history import SET_ASIDE, lost_rounds
from tickets.store.layout import (
    Layout,
    cohort_folders,
    not_folders,
    place_of,
    probes_folders,
    round_folders,
    run_folders,
)
from tickets.store.log import append_event, read_lines
from tickets.store.plan import REPAIR, CohortPlan
from tickets.store.reading import read_run
from tickets.store.sealed import toml_problem

NO_FOLDER = "is no folder, and a folder of this name belongs there"


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


def repair(folder: Path) -> list[str]:
    """Move everything that is damaged out of the way, in every run of a campaign's folder. The caller has its lock.

    Parameters
    ----------
    folder
        The campaign's folder; it need not exist.

    Returns
    -------
    list of str
        A line for each folder or file that was moved.
    """
    if not folder.is_dir():
        return []
    campaign, lines = folder / Layout.CAMPAIGN, []
    if os.path.lexists(campaign) and (wrong := toml_problem(campaign)):
        lines.append(f"{campaign}: {wrong}; {_aside(campaign)}; it is written anew")
    return [*lines, *(line for run in run_folders(folder) for line in _repair_run(run))]


def _repair_run(run: Path) -> Iterator[str]:
    try:
        config = read_run(run)["config"]
    except DiskError:
        raise
    except InputError as error:
        what = unreadable(run, Layout.RUN, error).what
        yield f"{run / Layout.RUN}: {what}; {_aside(run / Layout.RUN)}; it is written anew"
        config = {}
    log = run / Layout.LOG
    try:
        changed = any(line.problem for line in read_lines(log))
    except DiskError:
        raise
    except InputError as error:
        yield f"{log}: {unreadable(run, Layout.LOG, error).what}; {_aside(log)}; it is written anew"
        changed = False
    if not os.path.lexists(log):
        yield from _begin_log(run)
    if changed:
        yield f"{log}: has lines that were changed; {_aside(log, keep=True)}; the others stay"
        whole = [line.text + b"\n" for line in read_lines(log) if line.event and not line.problem]
        replace_file(log, b"".join(whole))
    for path in not_folders(run):
        yield f"{path}: {NO_FOLDER}; {_aside(path)}; it is trained again"
    for _, cohort in cohort_folders(run):
        for committed, why in _damaged(cohort, run.name, config):
            yield f"{committed}: {why}; {_aside(committed)}; it is trained again"
    for lost in list(lost_rounds(run)):
        place = place_of(lost)
        append_event(log, {"event": SET_ASIDE, "cohort": place.cohort, "round": place.round, "part": place.part})
        if not lost.is_dir():
            yield f"{lost}: is not there; it is trained again"


def _begin_log(run: Path) -> Iterator[str]:
    """Write a lost log anew, with the rounds that are there."""
    rounds = [
        (index, number, part) for index, cohort in cohort_folders(run) for number, part, _ in round_folders(cohort)
    ]
    for index, number, part in rounds:
        append_event(run / Layout.LOG, {"event": "round", "cohort": index, "round": number, "part": part})
    if rounds:
        yield f"{run / Layout.LOG}: is not there; it is written anew, from the rounds that are"


def _damaged(cohort: Path, run: str, config: dict[str, Any]) -> list[tuple[Path, str]]:
    """The committed folders of a cohort that must be trained again, each with the reason."""
    why: dict[str, str] = {}
    for finding in cohort_problems(cohort, run, config):
        inside = Path(finding.path).relative_to(cohort).parts
        if inside and place_of(cohort / inside[0]).kind:
            why.setdefault(inside[0], finding.what)
    rounds = [folder for *_, folder in round_folders(cohort)] + [folder for *_, folder in probes_folders(cohort)]
    rest = [name for name in (Layout.INITIAL, Layout.REWIND) if os.path.lexists(cohort / name)]
    rest += [folder.name for folder in rounds]
    for name in list(why):
        place = place_of(cohort / name)
        for other in rest:
            at = place_of(cohort / other)
            of_round = at.round == place.round and place.kind == "round" and place.part in (0, at.part)
            if place.kind == Layout.INITIAL or (place.kind == Layout.REWIND and at.kind != Layout.INITIAL) or of_round:
                why.setdefault(other, f"belongs to {name}, which is damaged")
    return [(cohort / name, reason) for name, reason in why.items() if os.path.lexists(cohort / name)]


def _aside(path: Path, keep: bool = False) -> str:
    """Move a file or folder out of the way; keep: copy the file instead. Returns how a message says so."""
    target = path.with_name(f"{Layout.SET_ASIDE}{path.name}-{uuid.uuid4().hex[:8]}")
    if keep:
        replace_file(target, path.read_bytes())
        return f"a copy is kept as {target.name}"
    os.rename(path, target)
    return f"moved to {target.name}"
