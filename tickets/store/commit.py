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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tickets.errors import InputError
from tickets.store.layout import SCHEMA_VERSION, Layout, cohort_folders

Content = bytes | Callable[[], bytes]
"""The bytes of a file, or a function that returns them, so that only one large file is in memory at a time."""

_LEFT_OVER = re.compile(re.escape(Layout.TEMPORARY) + r".+-[0-9a-f]{32}")

_REASONS = {
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
}


def commit(target: Path, files: Mapping[str, Content], manifest: Mapping[str, Any]) -> None:
    """Write a folder with a manifest of its files, completely or not at all.

    Missing parents are created. The manifest is `{"schema": 1, **manifest, "files": {name: {"bytes", "sha256"}}}`.
    After any error the temporary folder is removed.

    Parameters
    ----------
    target
        The folder.
    files
        {name: content}.
    manifest
        Further fields of the manifest, as JSON values.

    Raises
    ------
    FileExistsError
        If `target` exists.
    InputError
        If the disk is full or not writable.
    """
    _refuse_if_there(target)
    temporary = _temporary(target)
    written: dict[str, dict[str, int | str]] = {}
    wanted = 0
    try:
        _make_folder(target.parent)
        temporary.mkdir()
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content()
            wanted += len(data)
            written[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            _write_new(temporary / name, data)
        data = json_bytes({"schema": SCHEMA_VERSION, **manifest, "files": written})
        _write_new(temporary / Layout.MANIFEST, data)
        _sync_folder(temporary)
        # A rename would silently replace an empty folder, so check again.
        _refuse_if_there(target)
        os.rename(temporary, target)
        _sync_folder(target.parent)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if known := explained(error, target, wanted):
            raise known from error
        raise


def replace_file(path: Path, data: bytes | Sequence[memoryview]) -> None:
    """Replace one file (run.json, campaign.toml) atomically. Missing parents are created.

    Parameters
    ----------
    path
        The file.
    data
        Its new content; a large one in several chunks.

    Raises
    ------
    InputError
        If the disk is full or not writable.
    """
    temporary = _temporary(path)
    try:
        _make_folder(path.parent)
        _write_new(temporary, data)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if known := explained(error, path, _bytes_of(data)):
            raise known from error
        raise


def sweep_temporary(folder: Path) -> list[Path]:
    """Remove the temporary files of interrupted processes from a campaign's or run's folder.

    The caller must hold the folder's lock, since files that another process is writing would be removed too. Only
    names that `commit` and `replace_file` generate are removed, in the folder itself, its runs and their cohorts.

    Parameters
    ----------
    folder
        The folder; it need not exist.

    Returns
    -------
    list
        The paths that were removed.
    """
    if not folder.is_dir():
        return []
    inside = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink()]
    runs = [folder, *(entry for entry in inside if not _LEFT_OVER.fullmatch(entry.name))]
    places = [*runs, *(cohort for run in runs for _, cohort in cohort_folders(run))]
    left_over = {entry for place in places for entry in place.iterdir() if _LEFT_OVER.fullmatch(entry.name)}
    for entry in sorted(left_over):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    return sorted(left_over)


def json_bytes(value: object) -> bytes:
    """Encode JSON as in all files of the store: UTF-8, indented, keys in the given order, no NaN, a final newline."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def explained(error: BaseException, path: Path, wanted: int = 0) -> InputError | None:
    """The InputError for a disk that is full or not writable; None for any other error.

    Parameters
    ----------
    error
        The error that was raised.
    path
        The file or folder that could not be written.
    wanted
        The number of bytes that it needs at least; 0 if unknown.
    """
    if not isinstance(error, OSError) or error.errno not in _REASONS:
        return None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "free some and run the same command to go on"
    else:
        advice = "make it writable and run the same command to go on, or write to another folder (--out)"
    size = f" ({_size(wanted)} or more)" if wanted else ""
    return InputError(f"{_REASONS[error.errno]} in {path.parent} to write {path.name}{size}; {advice}")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count:,} bytes"


def _temporary(target: Path) -> Path:
    return target.with_name(f"{Layout.TEMPORARY}{target.name}-{uuid.uuid4().hex}")


def _refuse_if_there(target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(f"{target} exists already, and committed folders are never changed")


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _bytes_of(data: bytes | Sequence[memoryview]) -> int:
    return len(data) if isinstance(data, bytes) else sum(chunk.nbytes for chunk in data)


def _write_new(path: Path, data: bytes | Sequence[memoryview]) -> None:
    # Not with tempfile, whose files are readable by their owner only, whatever the umask is.
    with open(path, "xb") as file:
        file.writelines([data] if isinstance(data, bytes) else data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
