"""The commit protocol: a folder or file is written completely or not at all, even if the power fails.

A folder is written under a temporary name beside its target, each file is synced to the disk, the manifest last, and
the folder is renamed. A reader that ignores temporary names sees either nothing or everything. A committed folder is
never changed again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tickets.errors import InputError, LeaseLostError
from tickets.store.layout import SCHEMA_VERSION, Layout
from tickets.store.sealed import sealed_json

Content = bytes | Callable[[], bytes]
"""The bytes of a file, or a function that returns them, so that only one large file is in memory at a time."""

Permit = Callable[[], None]
"""Asked immediately before a rename. It raises LeaseLostError if another process has taken over what is written to."""

_LEFT_OVER = re.compile(re.escape(Layout.TEMPORARY) + r".+-[0-9a-f]{32}")

_REASONS = {
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
}


def commit(
    target: Path, files: Mapping[str, Content], manifest: Mapping[str, Any], permit: Permit | None = None
) -> None:
    """Write a folder with a manifest of its files, completely or not at all.

    Missing parents are created. The manifest is `{"sha256": ..., "schema": 1, **manifest, "files": {name: {"bytes",
    "sha256"}}}`, whose first key is the SHA-256 of the rest (see `tickets.store.sealed`).
    After any error the temporary folder is removed; but what another process was faster with is set aside, as
    `set-aside-<name>-<8 hexadecimal digits>`.

    Parameters
    ----------
    target
        The folder.
    files
        {name: content}.
    manifest
        Further fields of the manifest, as JSON values.
    permit
        Asked immediately before the rename; None where no other process writes to the folder.

    Raises
    ------
    FileExistsError
        If `target` exists.
    LeaseLostError
        If there is no permit.
    InputError
        If the disk is full or not writable.
    """
    if permit is None:
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
        data = sealed_json({"schema": SCHEMA_VERSION, **manifest, "files": written})
        _write_new(temporary / Layout.MANIFEST, data)
        _sync_folder(temporary)
        if permit is not None:
            permit()
        # A rename would silently replace an empty folder, so check again.
        _refuse_if_there(target)
        os.rename(temporary, target)
        _sync_folder(target.parent)
    except BaseException as error:
        if permit is not None:
            _set_aside_if_lost(error, temporary, target, permit)
        shutil.rmtree(temporary, ignore_errors=True)
        if known := explained(error, target, wanted):
            raise known from error
        raise


def replace_file(path: Path, data: bytes, permit: Permit | None = None) -> None:
    """Replace one file (run.json, campaign.toml) atomically. Missing parents are created.

    Parameters
    ----------
    path
        The file.
    data
        Its new content.
    permit
        Asked immediately before the file is replaced; None where no other process writes it.

    Raises
    ------
    LeaseLostError
        If there is no permit.
    InputError
        If the disk is full or not writable.
    """
    temporary = _temporary(path)
    try:
        _make_folder(path.parent)
        _write_new(temporary, data)
        if permit is not None:
            permit()
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if permit is not None and isinstance(error, FileNotFoundError):
            permit()  # who has taken over has removed the temporary file
        if known := explained(error, path, len(data)):
            raise known from error
        raise


def sweep(folder: Path, permit: Permit, *names: str) -> list[Path]:
    """Remove the temporary files and folders that interrupted processes left in a folder, but not in its folders.

    A process that was stopped in a commit and goes on finds its temporary folder gone and cannot complete the commit.

    Parameters
    ----------
    folder
        The folder; the caller has its lease.
    permit
        Raises LeaseLostError if the caller has the lease no longer: then later temporary files are another process's.
    *names
        The targets that are swept, such as "run.json"; by default all.

    Returns
    -------
    list
        The paths that were removed.
    """
    left_over = [folder / name for name in sorted(os.listdir(folder)) if _is_left_over(name, names)]
    # Asked after the listing: what was listed is older than any lease that is newer than the caller's.
    permit()
    for path in left_over:
        # Moved first: a folder that is removed file by file could be renamed to its target half empty.
        moved = folder / f"{Layout.TEMPORARY}swept-{uuid.uuid4().hex}"
        try:
            os.rename(path, moved)
        except FileNotFoundError:
            continue  # its process is at work and has removed it
        if moved.is_dir() and not moved.is_symlink():
            shutil.rmtree(moved)
        else:
            moved.unlink()
    return left_over


def make_folder(folder: Path) -> None:
    """Create a folder, but not its parents, unless it is there, so that a power failure does not undo it."""
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


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


def _is_left_over(name: str, targets: Sequence[str]) -> bool:
    if not _LEFT_OVER.fullmatch(name):
        return False
    return not targets or name[len(Layout.TEMPORARY) : -33] in (*targets, "swept")


def _set_aside_if_lost(error: BaseException, temporary: Path, target: Path, permit: Permit) -> None:
    """Set the temporary folder aside, and raise LeaseLostError, if another process has taken over what it was for."""
    lost = error
    if isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY):
        try:
            permit()  # whoever has taken over may have swept the temporary folder, or committed the target
        except LeaseLostError as found:
            lost = found
    if not isinstance(lost, LeaseLostError):
        return
    with suppress(OSError):
        os.rename(temporary, target.with_name(f"{Layout.SET_ASIDE}{target.name}-{uuid.uuid4().hex[:8]}"))
    raise lost from error


def _refuse_if_there(target: Path) -> None:
    if os.path.lexists(target):
        said = f"{target} exists already, and committed folders are never changed"
        error = FileExistsError(said)
        error.errno = errno.EEXIST  # as a second argument, it would stand in the message
        raise error


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _write_new(path: Path, data: bytes) -> None:
    # Not with tempfile, whose files are readable by their owner only, whatever the umask is.
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
