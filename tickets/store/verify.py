"""Verify saved runs: compare the hashes of files, then their contents, with the manifests."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tickets.code_hashes import named_functions
from tickets.config import parse_run, run_id
from tickets.errors import InputError
from tickets.store.asked import run_config
from tickets.store.begun import begun_problems
from tickets.store.cohort_problems import cohort_problems
from tickets.store.finding import Finding, unreadable
from tickets.store.history import Key, history
from tickets.store.layout import (
    Layout,
    cohort_folder,
    cohort_folders,
    is_part_of_cohort,
    is_part_of_run,
    not_folders,
    round_folder,
    round_folders,
    run_folders,
)
from tickets.store.log import read_lines
from tickets.store.manifests import read_manifest, read_run, run_named
from tickets.store.whole import NO_FOLDER, name_problem

_MOST_LINES = 100  # of a log that are listed
_ID = re.compile(r".*-seed-?\d+-[0-9a-f]{10}")


def verify(folder: str | Path) -> list[Finding]:
    """Find every difference between a folder and what was committed to it.

    Compared are the size and SHA-256 of each file, of run.json and of campaign.toml; the check value of each line of
    the log; missing and additional files; missing rounds; rounds that are in the place of others; the numbers of
    weights in the masks, whether the masks are nested, and whether own masks keep as many weights as the round's; the
    numbers of surviving values; the shapes of networks of another architecture, and that none has more weights than the
    ticket; whether the ticket's values are bit for bit the values that it starts from, which are the rewound ones or,
    by `rewind.kind`, the trained ones of the round before; which pruned weights had moved towards 0, where a file says
    so; the rows of the tables. The contents of a folder are checked only if its hashes are correct.

    Parameters
    ----------
    folder
        A campaign's folder, or one run's.

    Returns
    -------
    list of Finding
        Empty if there is no difference.

    Raises
    ------
    InputError
        If the folder has no run.
    """
    folder = Path(folder)
    runs = run_folders(folder)
    of_campaign = [] if runs == [folder] else [*begun_problems(folder), *_links(folder)]
    if not runs and not of_campaign:
        raise InputError(f"{folder}: no saved run in it (no */{Layout.RUN}); give a folder that `tickets run` wrote")
    if os.path.lexists(folder / Layout.CAMPAIGN) or os.path.lexists(folder / Layout.RUNS):
        # Elsewhere, copies of runs may have other names.
        of_campaign += [Finding(str(run), wrong) for run in runs if (wrong := name_problem(run, run_named(run)))]
    return [*of_campaign, *(finding for run in runs for finding in _run(run))]


def notes_of(folder: str | Path) -> list[Finding]:
    """The functions outside the catalogue that the run.json files of a folder name, a note for each run.

    They are not differences. Functions that read saved runs neither import nor call them without `trust_code`.

    Parameters
    ----------
    folder
        A campaign's folder, or one run's.
    """
    notes = []
    for run in run_folders(Path(folder)):
        for path in sorted(run.glob(f"cohort-*/{Layout.SET_ASIDE}*")):
            notes.append(Finding(str(path), "was moved out of the way; nothing reads it"))
        try:
            functions = named_functions(read_run(run)["config"])
        except InputError:
            continue  # `verify` reports it
        if functions:
            what = f"names code that is not part of tickets: {', '.join(functions)}; it was not called"
            notes.append(Finding(str(run / Layout.RUN), what))
    return notes


def _links(folder: Path) -> Iterator[Finding]:
    """Links to runs in a campaign's folder."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_symlink() and os.path.lexists(f"{entry.path}/{Layout.RUN}"):
                yield Finding(entry.path, "is a link to a run, and links in a campaign's folder are not followed")


def _run(run: Path) -> Iterator[Finding]:
    file: dict[str, Any] = {}
    try:
        file = read_run(run)
        yield from _own_id(run, file)
    except InputError as error:
        yield unreadable(run, Layout.RUN, error)
    yield from _strangers(run, is_part_of_run)
    yield from (Finding(str(path), NO_FOLDER) for path in not_folders(run) if not path.is_symlink())
    owner: dict[int, str] = {}
    config = run_config(run)
    for _, cohort in cohort_folders(run):
        yield from _strangers(cohort, is_part_of_cohort)
        for replicate in (yield from cohort_problems(cohort, str(file.get("run", run.name)), config)):
            if replicate in owner:
                yield Finding(str(cohort), f"replicate {replicate} is in {owner[replicate]} too")
            owner[replicate] = cohort.name
    yield from _log(run)


def _own_id(run: Path, file: dict[str, Any]) -> Iterator[Finding]:
    """The run's id is the hash of its settings, so that it betrays a change of most of run.json."""
    made = run_id(parse_run(file["config"]))
    if _ID.fullmatch(file["run"]) and made != file["run"]:
        yield Finding(
            str(run / Layout.RUN), f"its settings are those of run {made}, but it says that it is {file['run']}"
        )


def _log(run: Path) -> Iterator[Finding]:
    """Lines that were changed, and rounds that were committed by the log and are gone."""
    log = run / Layout.LOG
    try:
        wrong = 0
        for line in read_lines(log):
            if line.problem is not None:
                wrong += 1
                if wrong <= _MOST_LINES:
                    yield Finding(str(log), f"line {line.number} {line.problem}")
        if wrong > _MOST_LINES:
            yield Finding(str(log), f"and {wrong - _MOST_LINES:,} more lines like these")
        found = history(run)
    except InputError as error:
        yield unreadable(run, Layout.LOG, error)
        return
    for folder in found.lost:
        yield Finding(str(folder), f"missing: {Layout.LOG} says that it was committed")
    if not os.path.lexists(log):
        if any(round_folders(cohort) for _, cohort in cohort_folders(run)):
            yield Finding(str(log), "missing, though rounds are committed")
        return
    yield from _lines_gone(run, found.unlogged)


def _lines_gone(run: Path, unlogged: Sequence[Key]) -> Iterator[Finding]:
    """Lines that are gone from the log. A process that is killed after a commit owes one event in each cohort."""
    for index in sorted({cohort for cohort, _, _ in unlogged}):
        cohort = cohort_folder(run, index)
        folders = [round_folder(cohort, number, part) for of, number, part in unlogged if of == index]
        if len(folders) > 1 and all(map(_names_its_run, folders)):
            lacking = f"{cohort.name}/{folders[0].name} and {len(folders) - 1} more"
            yield Finding(str(run / Layout.LOG), f"lines are missing: it does not say that {lacking} were committed")


def _names_its_run(folder: Path) -> bool:
    """Whether a manifest is of a version that writes the events that a killed process owes."""
    try:
        return "run" in read_manifest(folder)
    except InputError:
        return False  # reported where the folder is checked


def _strangers(folder: Path, is_part: re.Pattern[str]) -> Iterator[Finding]:
    """Entries of a run's or cohort's folder that do not belong there, or are links. Hidden ones are passed over."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_symlink() and not entry.name.startswith(Layout.SET_ASIDE):
                yield Finding(entry.path, "is a link, and links within a saved run are not followed")
            elif not entry.name.startswith(".") and not is_part.fullmatch(entry.name):
                yield Finding(entry.path, "is no part of a saved run")
