"""Move damaged committed folders and files out of the way, so that they are trained again.

Nothing is removed. A damaged round alone is moved: it has the same bits when it is trained again on the same machine,
and the rounds after it still fit. Where they do not, `verify` finds that, and they are moved in a second pass.

What is damaged of a cohort is moved under the lease of the cohort, so that no other process builds on it meanwhile. A
repair that is interrupted leaves folders missing, which `verify` finds and a second repair has trained again.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tickets.errors import DiskError, InputError
from tickets.store.asked import run_config
from tickets.store.begun import begin_anew, campaign_problem, lost_run_files
from tickets.store.cohort_problems import cohort_problems
from tickets.store.commit import replace_file
from tickets.store.finding import unreadable
from tickets.store.history import history, log_round, log_set_aside
from tickets.store.layout import (
    Layout,
    cohort_folders,
    not_folders,
    place_of,
    probes_folders,
    round_folders,
    run_folders,
)
from tickets.store.lease import taken
from tickets.store.log import read_lines
from tickets.store.manifests import read_run
from tickets.store.temporary import Permit
from tickets.store.whole import NO_FOLDER, check_names


def repair(folder: Path, permit: Permit) -> list[str]:
    """Move everything that is damaged out of the way, in every run of a campaign's folder. The caller has its lock.

    Parameters
    ----------
    folder
        The campaign's folder; it need not exist.
    permit
        The `check` of the lock's lease.

    Returns
    -------
    list of str
        A line for each folder or file that was moved.

    Raises
    ------
    HeldError
        If another process trains a cohort that is damaged.
    InputError
        If a run is in the folder of another one.
    """
    if not folder.is_dir():
        return []
    check_names(folder)
    campaign, lines = folder / Layout.CAMPAIGN, []
    if wrong := campaign_problem(folder):
        lines.append(f"{campaign}: {wrong}; {_aside(campaign)}; it is written anew")
    for run in lost_run_files(folder):
        lines.append(f"{run / Layout.RUN}: is not there; it is written anew")
    lines += begin_anew(folder, permit, _aside)
    runs = sorted({*run_folders(folder), *lost_run_files(folder)})
    return [*lines, *(line for run in runs for line in _repair_run(run, permit))]


def _repair_run(run: Path, permit: Permit) -> Iterator[str]:
    config = run_config(run)
    try:
        if os.path.lexists(run / Layout.RUN):
            read_run(run)
    except DiskError:
        raise
    except InputError as error:
        what = unreadable(run, Layout.RUN, error).what
        yield f"{run / Layout.RUN}: {what}; {_aside(run / Layout.RUN)}; it is written anew"
    yield from _repair_log(run, permit)
    for path in not_folders(run):
        yield f"{path}: {NO_FOLDER}; {_aside(path)}; it is trained again"
        if place_of(path).kind in ("round", "probes"):
            log_set_aside(path)
    for _, cohort in cohort_folders(run):
        yield from _repair_cohort(cohort, config)
    for lost in history(run).lost:
        log_set_aside(lost)
        yield f"{lost}: is not there; {_again(lost)}"


def _repair_log(run: Path, permit: Permit) -> Iterator[str]:
    log = run / Layout.LOG
    try:
        changed = any(line.problem for line in read_lines(log))
    except DiskError:
        raise
    except InputError as error:
        yield f"{log}: {unreadable(run, Layout.LOG, error).what}; {_aside(log)}; it is written anew"
        changed = False
    was_there = os.path.lexists(log)
    if changed:
        yield f"{log}: has lines that were changed; {_aside(log, keep=True)}; the others stay"
        whole = [line.text + b"\n" for line in read_lines(log) if line.event and not line.problem]
        replace_file(log, b"".join(whole), permit)
    if unlogged := history(run).unlogged:
        for key in unlogged:
            log_round(run, key)
        if not was_there:
            yield f"{log}: is not there; it is written anew, from the rounds that are"


def _repair_cohort(cohort: Path, config: dict[str, Any]) -> Iterator[str]:
    run = cohort.parent.name
    if not _damaged(cohort, run, config):
        return
    with taken(cohort):
        for committed, why in _damaged(cohort, run, config):
            yield f"{committed}: {why}; {_aside(committed)}; {_again(committed)}"
            if place_of(committed).kind in ("round", "probes"):
                log_set_aside(committed)


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


def _again(folder: Path) -> str:
    measured = place_of(folder).kind == "probes"
    return "`tickets probe` measures it again" if measured else "it is trained again"


def _aside(path: Path, keep: bool = False) -> str:
    """Move a file or folder out of the way; keep: copy the file instead. Returns how a message says so."""
    target = path.with_name(f"{Layout.SET_ASIDE}{path.name}-{uuid.uuid4().hex[:8]}")
    if keep:
        replace_file(target, path.read_bytes())
        return f"a copy is kept as {target.name}"
    os.rename(path, target)
    return f"moved to {target.name}"
