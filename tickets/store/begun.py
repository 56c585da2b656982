"""runs.json: which runs a campaign's folder has begun, and which campaign.toml goes with them.

Without it, nothing in the folder would tell that a whole run or campaign.toml is gone: a run that campaign.toml asks
for and that has no folder may simply not have begun. The file is replaced under the lock of the campaign's folder:
before campaign.toml is replaced, with its old and its new hash, and before the first run trains, with all runs that
have a run.json. At no moment does it name something that is not there.

Folders of earlier versions have none until they are gone on with.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickets.errors import DiskError, InputError
from tickets.opening import read_regular
from tickets.store.commit import replace_file
from tickets.store.durable import sync_folder
from tickets.store.finding import Finding, unreadable
from tickets.store.layout import SCHEMA_VERSION, Layout, cohort_folders, run_folders
from tickets.store.manifests import read_run
from tickets.store.refused import explained
from tickets.store.sealed import LARGEST_JSON, read_json, sealed_json, toml_problem
from tickets.store.survey import REPAIR
from tickets.store.temporary import Permit

LISTED = "listed"  # a key of run.json: that the run was begun by a version that writes runs.json
_NAME = re.compile(r"[^./\\\x00][^/\\\x00]{0,254}")  # of a folder in the campaign's folder itself


@dataclass(frozen=True)
class Begun:
    """The content of runs.json.

    Parameters
    ----------
    runs
        The ids of the runs that have begun.
    campaigns
        The SHA-256 of campaign.toml; two while it is replaced.
    """

    runs: frozenset[str] = frozenset()
    campaigns: frozenset[str] = frozenset()


def read_begun(folder: Path) -> Begun | None:
    """What a campaign's runs.json says; None if there is none.

    Parameters
    ----------
    folder
        The campaign's folder.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    path = folder / Layout.RUNS
    if not os.path.lexists(path):
        return None
    content = read_json(path)
    return Begun(_texts(path, content, "runs"), _texts(path, content, "campaigns"))


def record_begun(folder: Path, asked: Collection[str], permit: Permit, campaign: bytes | None = None) -> None:
    """Write to runs.json which of the runs that are asked for have a run.json, unless it says so already.

    Runs that it names stay, whether they are there or asked for or not.

    Parameters
    ----------
    folder
        The campaign's folder, which is locked.
    asked
        The ids of the runs that are asked for.
    permit
        The `check` of the lock's lease.
    campaign
        What campaign.toml is going to contain; None if it is written.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    before = read_begun(folder)
    runs = {name for name in asked if os.path.lexists(folder / name / Layout.RUN)} | (before.runs if before else set())
    _sync(folder, runs - (before.runs if before else set()))
    coming = set() if campaign is None else {hashlib.sha256(campaign).hexdigest()}
    _write(folder, Begun(frozenset(runs), _campaign_hash(folder) | coming), before, permit)


def check_begun(folder: Path) -> None:
    """Check that a campaign's runs.json, if there is one, and the run.json of each run with rounds can be gone on from.

    Parameters
    ----------
    folder
        The campaign's folder.

    Raises
    ------
    InputError
        If they are damaged or lost, with the remedy.
    """
    advice = f"take it from a backup, or have it written anew ({REPAIR})"
    try:
        read_begun(folder)
    except DiskError:
        raise
    except InputError as error:
        raise InputError([*error.problems, f"{folder / Layout.RUNS}: {advice}"]) from error
    if lost := lost_run_files(folder):
        raise InputError([f"{run / Layout.RUN}: missing, though rounds are there; {advice}" for run in lost])


def begin_anew(folder: Path, permit: Permit, aside: Callable[[Path], str]) -> Iterator[str]:
    """Write runs.json anew with the runs that are there, where it is damaged, lost or names others.

    Parameters
    ----------
    folder
        The campaign's folder, which is locked.
    permit
        The `check` of the lock's lease.
    aside
        Moves the damaged file out of the way, and returns how a message says so.

    Yields
    ------
    str
        A line for each thing that was wrong.
    """
    path, there = folder / Layout.RUNS, frozenset(run.name for run in run_folders(folder))
    try:
        before = read_begun(folder)
    except DiskError:
        raise
    except InputError as error:
        yield f"{path}: {unreadable(folder, Layout.RUNS, error).what}; {aside(path)}; it is written anew"
        before = Begun(there)
        _write(folder, Begun(there, _campaign_hash(folder)), None, permit)
    if before is None:
        if is_missing(folder):
            yield f"{path}: is not there; it is written anew, from the runs that are"
            _write(folder, Begun(there, _campaign_hash(folder)), None, permit)
        return
    lost = [run for run in _named(folder, before) if run.is_symlink() or not run.is_dir()]
    for run in lost:
        yield f"{run}: is not there; it is trained again if the campaign file asks for it"
    left = before.runs - {run.name for run in lost}
    _write(folder, Begun(left, _campaign_hash(folder)), before, permit)


def is_missing(folder: Path) -> bool:
    """Whether a campaign's folder must have a runs.json and has none.

    Parameters
    ----------
    folder
        The campaign's folder. Without a campaign.toml, it may hold runs that were copied out of their campaigns.
    """
    if os.path.lexists(folder / Layout.RUNS) or not os.path.lexists(folder / Layout.CAMPAIGN):
        return False
    return any(map(_is_listed, run_folders(folder)))


def lost_runs(folder: Path) -> list[Path]:
    """What is gone of the runs that a campaign's folder has begun, by its runs.json: their folders, or their run.json.

    Parameters
    ----------
    folder
        The campaign's folder.

    Raises
    ------
    InputError
        If runs.json is damaged.
    """
    begun = read_begun(folder)
    runs = _named(folder, begun) if begun else []
    lost = [run for run in runs if run.is_symlink() or not os.path.lexists(run / Layout.RUN)]
    return [run / Layout.RUN if run.is_dir() and not run.is_symlink() else run for run in lost]


def lost_run_files(folder: Path) -> list[Path]:
    """The folders in a campaign's folder that hold cohorts and no run.json, so that no other command sees them."""
    if os.path.lexists(folder / Layout.RUN):
        return []
    names = sorted(name for name in os.listdir(folder) if not name.startswith((".", Layout.SET_ASIDE)))
    folders = [folder / name for name in names if not (folder / name).is_symlink() and (folder / name).is_dir()]
    return [run for run in folders if not os.path.lexists(run / Layout.RUN) and cohort_folders(run)]


def campaign_problem(folder: Path) -> str | None:
    """How campaign.toml differs from what was written; None if it does not, or if there is none."""
    path = folder / Layout.CAMPAIGN
    if not os.path.lexists(path):
        return None
    if wrong := toml_problem(path):
        return wrong
    try:
        begun = read_begun(folder)
    except InputError:
        return None  # `begun_problems` reports it
    if begun is None or not begun.campaigns or _campaign_hash(folder) <= begun.campaigns:
        return None
    return f"is not the one that was written last: {Layout.RUNS} has another SHA-256"


def begun_problems(folder: Path) -> Iterator[Finding]:
    """The files and folders that a campaign's folder has lost, and what is wrong with its campaign.toml and runs.json.

    Parameters
    ----------
    folder
        The campaign's folder.
    """
    campaign = folder / Layout.CAMPAIGN
    if wrong := campaign_problem(folder):
        yield Finding(str(campaign), wrong)
    lost = {run / Layout.RUN: "missing, though rounds are there" for run in lost_run_files(folder)}
    try:
        begun = read_begun(folder)
        lost |= dict.fromkeys(lost_runs(folder), f"missing: {Layout.RUNS} says that this run has begun")
    except InputError as error:
        begun = None
        yield unreadable(folder, Layout.RUNS, error)
    else:
        if begun is None and is_missing(folder):
            yield Finding(str(folder / Layout.RUNS), "missing, though there are runs that were in it")
    if begun is not None and begun.runs and not os.path.lexists(campaign):
        yield Finding(str(campaign), f"missing: {Layout.RUNS} says that it was written")
    yield from (Finding(str(path), what) for path, what in lost.items())


def _sync(folder: Path, runs: Collection[str]) -> None:
    """Sync run folders that are named for the first time: a process that wrote them may have been killed before."""
    for name in sorted(runs):
        try:
            sync_folder(folder / name)
        except OSError as error:
            raise explained(error, folder / name / Layout.RUN) or error from error


def _named(folder: Path, begun: Begun) -> list[Path]:
    """The folders of the runs that have begun; names that lead elsewhere are passed over."""
    return [folder / name for name in sorted(begun.runs) if _NAME.fullmatch(name)]


def _write(folder: Path, begun: Begun, before: Begun | None, permit: Permit) -> None:
    if begun != before:
        content = {"schema": SCHEMA_VERSION, "campaigns": sorted(begun.campaigns), "runs": sorted(begun.runs)}
        replace_file(folder / Layout.RUNS, sealed_json(content), permit)


def _campaign_hash(folder: Path) -> frozenset[str]:
    """The SHA-256 of a folder's campaign.toml; none if it cannot be read."""
    try:
        data = read_regular(folder / Layout.CAMPAIGN, at_most=LARGEST_JSON)
    except (FileNotFoundError, InputError):
        return frozenset()
    return frozenset({hashlib.sha256(data).hexdigest()})


def _is_listed(run: Path) -> bool:
    try:
        return bool(read_run(run).get(LISTED))
    except InputError:
        return False


def _texts(path: Path, content: dict[str, Any], key: str) -> frozenset[str]:
    value = content.get(key)
    if not isinstance(value, Collection) or isinstance(value, str) or not all(isinstance(one, str) for one in value):
        raise InputError(f"{path}: damaged, {key} is no list of texts; take it from a backup")
    return frozenset(value)
