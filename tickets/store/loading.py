"""Load saved campaigns and runs from their folders."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tickets.errors import InputError
from tickets.store.gathering import Parts, parts_of
from tickets.store.known_runs import Lazily, known_runs
from tickets.store.layout import Layout, run_folders
from tickets.store.manifests import read_run
from tickets.store.saved import Saved


def load(
    folder: str | Path | Sequence[str | Path],
    skip_damaged: bool = False,
    *,
    trust_code: bool | Collection[str] = False,
) -> Saved:
    """Load the saved runs of a campaign's folder, of a run's folder, or of several folders.

    Parameters
    ----------
    folder : path, or list of paths
        A campaign's folder or a run's, or a list of them, whose runs are combined. A run that is listed twice is
        loaded once.
    skip_damaged : bool
        Whether to skip runs that cannot be read; `Saved.damaged` lists them.
    trust_code : bool, or names
        Whether functions outside the catalogue that the saved runs name ("my_nets:wide") may be imported and called,
        as `Ticket.build` does: True for all of them, or the names of those that may. A saved run can name any function,
        so trust only folders whose origin you know.

    Raises
    ------
    InputError
        If a folder is missing, contains no run or a run of another schema version (with `skip_damaged`: if no run can
        be read), or if two folders contain runs with the same id.
    """
    folders = [Path(folder)] if isinstance(folder, str | Path) else [Path(one) for one in folder]
    if not folders:
        raise InputError("load([]): names no folder; give one or more that `tickets run` wrote")
    files: dict[Path, Mapping[str, Any]] = {}
    parts: dict[Path, Parts | InputError] = {}
    left_out: dict[str, str] = {}
    runs: dict[str, Path] = {}
    paths = list(dict.fromkeys(path for one in folders for path in _run_folders(one)))
    known = known_runs(folders, paths)
    for path in paths:
        if known is not None and (found := known.look(path)) is not None:
            runs[found] = path
            continue
        # First the rounds, then run.json, which a campaign that grows writes before the rounds of new arms.
        try:
            parts[path] = parts_of(path)
        except InputError as error:
            parts[path] = error
        try:
            files[path] = read_run(path)
        except InputError as error:
            if not skip_damaged:
                raise
            left_out[str(path) if path.name in left_out else path.name] = str(error)
    if left_out and not files and not runs:
        raise InputError(list(left_out.values()))
    for path, file in files.items():
        run = str(file.get("run", path.name))
        if run in runs and runs[run].resolve() != path.resolve():
            raise InputError(_twice(run, runs[run], path, folders))
        runs.setdefault(run, path)
    named: Mapping[str, Mapping[str, Any]] = {run: files[path] for run, path in runs.items() if path in files}
    listed: Mapping[str, Parts | InputError] = {run: parts[path] for run, path in runs.items() if path in files}
    if known is not None:
        named, listed = Lazily(named, list(known.runs), known.file), Lazily(listed, list(known.runs), known.parts)
    return Saved(folders, runs, named, left_out if skip_damaged else None, trust_code, listed, known)


def _run_folders(folder: Path) -> list[Path]:
    hint = "give a folder that `tickets run` wrote (default: runs/saved/<campaign name>)"
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; {hint}")
    found = run_folders(folder)
    if not found:
        raise InputError(f"{folder}: no saved run in it (no */{Layout.RUN}); {hint}")
    return found


def _twice(run: str, first: Path, second: Path, folders: Sequence[Path]) -> str:
    if len(folders) == 1:
        return f"{folders[0]}: {first.name} and {second.name} both hold run {run}; move one of them away"
    return f"{first} and {second} both hold run {run}, and their rows could not be told apart; load one of the two"
