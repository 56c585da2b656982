"""Manifests and run.json: what a committed folder holds, and of which run, cohort and round it is."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from tickets.errors import InputError
from tickets.store.forms import manifest_problem, run_problem
from tickets.store.layout import Layout, Place, has_own_mask, place_of
from tickets.store.sealed import read_json, shortened

Manifest = Mapping[str, Any]

# What code that trusts a file's form raises on a forged one, whose hashes are all right.
OTHER_FORM = (
    AttributeError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    UnicodeError,
    ValueError,
    ZeroDivisionError,
    SafetensorError,
)


@contextmanager
def trusting_form(path: Path) -> Iterator[None]:
    """A block that reads a file or folder of somebody else's and trusts its form.

    Parameters
    ----------
    path
        The file or folder.

    Raises
    ------
    InputError
        Instead of the errors that contents of another form cause.
    """
    try:
        yield
    except InputError:
        raise
    except OTHER_FORM as error:
        why = f"{type(error).__name__}: {_one_line(error)}"
        raise damaged(path, f"does not have the form of saved runs ({why})") from error


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:197]}..."


def read_manifest(folder: Path, runs: Mapping[Path, str] | None = None) -> dict[str, Any]:
    """The manifest of a committed folder.

    Parameters
    ----------
    folder
        The folder.
    runs
        {folder of a run: its id in run.json}, where these were read before.

    Raises
    ------
    InputError
        If it is missing, damaged, of another schema version, or the manifest of another folder.
    """
    path = folder / Layout.MANIFEST
    if os.path.islink(folder):
        raise damaged(folder, "is a link, and links within a saved run are not followed")
    try:
        manifest = read_json(path)
    except InputError:
        if os.path.lexists(path):
            raise
        raise InputError(
            f"{folder}: no {Layout.MANIFEST}, so this folder was not committed or is damaged; "
            "take it from a backup, or move it away and run the campaign again"
        ) from None
    if wrong := manifest_problem(manifest):
        raise InputError(f"{path}: damaged, {wrong}; take it from a backup")
    if other := _other_place(manifest, place_of(folder), runs or {}):
        raise InputError(
            f"{path}: {other}; `tickets verify` lists all damage; put the folders back in their places, or take them "
            "from a backup"
        )
    return manifest


def _other_place(manifest: Manifest, place: Place, runs: Mapping[Path, str]) -> str | None:
    """Of which other folder a manifest is; None if it is of this one. Earlier versions did not write run and cohort."""
    if not place.kind:
        return None
    kind, number, part = manifest["kind"], manifest.get("round"), manifest.get("part")
    named = (
        kind
        if number is None
        else f"{kind} of round {number}, part {part}"
        if kind == "probes"
        else (f"{kind} {number}, part {part}")
    )
    if (kind, number, part) != (place.kind, place.round, place.part):
        return f"is the manifest of {named}"
    cohort = manifest.get("cohort")
    if cohort is not None and place.cohort is not None and cohort != place.cohort:
        return f"is the manifest of {named}, of cohort {cohort}"
    run, here = manifest.get("run"), runs.get(place.run) or run_named(place.run)
    if run is not None and here is not None and run != here:
        return f"is of run {shortened(run)}"
    return None


def identity_of(folder: Path) -> dict[str, str | int]:
    """The fields of a manifest that say whose it is: the run's id and the number of the cohort."""
    place = place_of(folder.absolute())
    run = run_named(place.run) or place.run.name
    return {"run": run} | ({} if place.cohort is None else {"cohort": place.cohort})


def run_named(folder: Path) -> str | None:
    """The id in the run.json of a run's folder; None if there is no such file, or it is damaged."""
    try:
        found = os.stat(folder / Layout.RUN, follow_symlinks=False)
    except OSError:
        return None
    return _run_named(folder / Layout.RUN, found.st_ino, found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=16384)
def _run_named(path: Path, *_: int) -> str | None:
    try:
        name = read_json(path).get("run")
    except InputError:
        return None
    return name if isinstance(name, str) else None


def keeps_own_mask(manifest: Manifest, arm: str) -> bool:
    """Whether the folder of a round has masks of the arm with this label, beside the round's."""
    entry = manifest_arm(manifest, arm)
    return bool(entry.get("own_mask")) or has_own_mask(str(entry.get("name", arm)))


def manifest_arm(manifest: Manifest, arm: str) -> Mapping[str, Any]:
    """The entry of the arm with this label in the manifest of a round; empty if there is none."""
    return next((entry for entry in manifest["arms"] if entry["arm"] == arm), {})


def damaged(path: Path, what: str) -> InputError:
    """The error for a damaged committed file, with the remedy."""
    return InputError(f"{path}: {what}; `tickets verify` lists all damage; take the file from a backup")


def read_run(folder: Path) -> dict[str, Any]:
    """The run.json of a run's folder.

    Raises
    ------
    InputError
        If it is missing, damaged, of another schema version, or its configuration is none that this version knows.
    """
    path = folder / Layout.RUN
    file = read_json(path)
    if wrong := run_problem(file):
        raise InputError(f"{path}: {wrong}; written by another version of tickets, or damaged: take it from a backup")
    return file
