"""The commit protocol: a folder or file is written completely or not at all, even if the power fails.

A folder is written under a temporary name beside its target, each file is synced to the disk, the manifest last, and
the folder is renamed. A reader that ignores temporary names sees either nothing or everything. A committed folder is
never changed again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from tickets.store.layout import SCHEMA_VERSION, Layout, cohort_folders
from tickets.store.refused import explained

Content = bytes | Callable[[], bytes]
"""The bytes of a file, or a function that returns them, so that only one large file is in memory at a time."""

Permit = Callable[[], None]
"""Raises if a folder must not be committed any more. It is called last, right before the folder gets its name."""

_LARGEST_TRIAL = 2**26  # bytes

_LEFT_OVER = re.compile(re.escape(Layout.TEMPORARY) + r".+-[0-9a-f]{32}")


def commit(
    target: Path, files: Mapping[str, Content], manifest: Mapping[str, Any], permit: Permit | None = None
) -> None:
    """Write a folder with a manifest of its files, completely or not at all.

    The folder around it must be there: a commit into a campaign that was removed must not make a stub of it. Only
    `initial/`, the first folder of a cohort, brings the cohort's folder with it.
    The manifest is `{"schema": 1, **manifest, "files": {name: {"bytes", "sha256"}}}`.
    After any error the temporary folder is removed.

    Parameters
    ----------
    target
        The folder.
    files
        {name: content}.
    manifest
        Further fields of the manifest, as JSON values.
    permit
        Whether the folder may be committed.

    Raises
    ------
    FileExistsError
        If `target` exists.
    DiskError
        If the system refuses: the disk is full or not writable, the folder around it is gone, ...
    """
    _refuse_if_there(target)
    temporary = _temporary(target)
    written: dict[str, dict[str, int | str]] = {}
    wanted = 0
    try:
        if target.name == Layout.INITIAL:
            make_folder(target.parent, parents=False)
        os.mkdir(temporary)
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content()
            wanted += len(data)
            written[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            _write_new(temporary / name, data)
        data = json_bytes({"schema": SCHEMA_VERSION, **manifest, "files": written})
        _write_new(temporary / Layout.MANIFEST, data)
        sync_folder(temporary)
        # A rename would silently replace an empty folder, so check again.
        _refuse_if_there(target)
        if permit is not None:
            permit()
        _rename(temporary, target)
        sync_folder(target.parent)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if known := explained(error, target, wanted):
            raise known from error
        raise


def replace_file(path: Path, data: bytes) -> None:
    """Replace one file (run.json, campaign.toml) atomically. Missing parents are created.

    Parameters
    ----------
    path
        The file.
    data
        Its new content.

    Raises
    ------
    DiskError
        If the system refuses: the disk is full or not writable, ...
    """
    temporary = _temporary(path)
    try:
        make_folder(path.parent)
        _write_new(temporary, data)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):  # the first error is the one to raise
            temporary.unlink()
        if known := explained(error, path, len(data)):
            raise known from error
        raise


def settle(run: Path, cohort: Path) -> None:
    """Sync the names that an interrupted process may have made and not synced, before another one builds on them.

    Parameters
    ----------
    run
        The run's folder.
    cohort
        The cohort's folder, which need not exist.

    Raises
    ------
    DiskError
        If the system refuses.
    """
    for folder in (run.parent.parent, run.parent, run, cohort):
        try:
            # A folder without permission to list it cannot be synced, but may be entered.
            with suppress(PermissionError, FileNotFoundError) if folder != run else nullcontext():
                sync_folder(folder)
        except OSError as error:
            raise explained(error, folder) or error from error


def check_writable(folder: Path, size: int = 0) -> None:
    """Check that a folder can be written to, by a file that is written, synced and removed again.

    Parameters
    ----------
    folder
        The folder.
    size
        The number of bytes to write.

    Raises
    ------
    DiskError
        If it cannot.
    """
    path = _temporary(folder / "trial")
    try:
        try:
            _write_new(path, b"0" * min(max(size, 4096), _LARGEST_TRIAL))
        finally:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise explained(error, folder / "files", size) or error from error


def sweep_temporary(folder: Path, kept: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Remove the temporary files of interrupted processes from a campaign's or run's folder.

    The caller must hold the folder's lock, since files that another process is writing would be removed too. Only
    names that `commit` and `replace_file` generate are removed, in the folder itself, its runs and their cohorts.

    Parameters
    ----------
    folder
        The folder; it need not exist.
    kept
        Is called with a line for each file or folder that cannot be removed. Readers ignore it.

    Returns
    -------
    list
        The paths that were removed.
    """
    if not folder.is_dir():
        return []
    inside = [entry for entry in _entries(folder) if entry.is_dir() and not entry.is_symlink()]
    runs = [folder, *(entry for entry in inside if not _LEFT_OVER.fullmatch(entry.name))]
    places = [*runs, *(cohort for run in runs for _, cohort in cohort_folders(run))]
    left_over = {entry for place in places for entry in _entries(place) if _LEFT_OVER.fullmatch(entry.name)}
    removed = []
    for entry in sorted(left_over):
        try:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        except OSError as error:
            kept(f"{entry}: left by an interrupted process, cannot be removed ({error.strerror}); it does no harm")
        else:
            removed.append(entry)
    return removed


def json_bytes(value: object) -> bytes:
    """Encode JSON as in all files of the store: UTF-8, indented, keys in the given order, no NaN, a final newline."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _temporary(target: Path) -> Path:
    return target.with_name(f"{Layout.TEMPORARY}{target.name}-{uuid.uuid4().hex}")


def _refuse_if_there(target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(_there(target))


def _there(target: Path) -> str:
    return f"{target} exists already, and committed folders are never changed"


def _rename(temporary: Path, target: Path) -> None:
    try:
        os.rename(temporary, target)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):  # another process has committed it since
            raise FileExistsError(_there(target)) from error
        raise


def make_folder(folder: Path, parents: bool = True) -> None:
    """Create a folder, unless it is there, and sync its entry in the folder around it.

    Parameters
    ----------
    folder
        The folder.
    parents
        Whether the folders around it are created too.

    Raises
    ------
    OSError
        If it cannot be created, or if there is a file of this name.
    """
    if folder.is_dir():
        return
    if parents:
        make_folder(folder.parent)
    try:
        os.mkdir(folder)
    except FileExistsError:
        if not folder.is_dir():  # else another process was faster
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries to the disk, on file systems that have a way to do so."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # as CIFS and some FUSE mounts say of every folder
            raise
    finally:
        os.close(descriptor)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise explained(error, folder / "files") or error from error


def _write_new(path: Path, data: bytes) -> None:
    # Not with tempfile, whose files are readable by their owner only, whatever the umask is.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        left = memoryview(data)
        while left:  # a write may take less than it was given; the next one says what hinders the rest
            count = os.write(descriptor, left)
            if count == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            left = left[count:]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
