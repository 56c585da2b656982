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
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from tickets.errors import LeaseLostError
from tickets.store.layout import SCHEMA_VERSION, Layout
from tickets.store.refused import explained
from tickets.store.sealed import sealed_json

Content = bytes | Callable[[], bytes]
"""The bytes of a file, or a function that returns them, so that only one large file is in memory at a time."""

Permit = Callable[[], None]
"""Asked immediately before a rename. It raises LeaseLostError if another process has taken over what is written to, and
DiskError if the folder was moved."""

TRIAL = "trial"  # of a file that is written only to see whether a folder can be written to
_LARGEST_TRIAL = 2**26  # bytes

_LEFT_OVER = re.compile(re.escape(Layout.TEMPORARY) + r".+-[0-9a-f]{32}")


def commit(
    target: Path, files: Mapping[str, Content], manifest: Mapping[str, Any], permit: Permit | None = None
) -> None:
    """Write a folder with a manifest of its files, completely or not at all.

    The folder around it must be there: a commit into a campaign that was removed must not make a stub of it. Only
    `initial/`, the first folder of a cohort, brings the cohort's folder with it. The manifest is `{"sha256": ...,
    "schema": 1, **manifest, "files": {name: {"bytes", "sha256"}}}`, whose first key is the SHA-256 of the rest (see
    `tickets.store.sealed`). After any error the temporary folder is removed; but what another process was faster with
    is set aside, as `set-aside-<name>-<8 hexadecimal digits>`.

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
    DiskError
        If the system refuses: the disk is full or not writable, the folder around it is gone, ...
    """
    if permit is None:
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
        data = sealed_json({"schema": SCHEMA_VERSION, **manifest, "files": written})
        _write_new(temporary / Layout.MANIFEST, data)
        sync_folder(temporary)
        # A rename would silently replace an empty folder, so check again.
        _refuse_if_there(target)
        if permit is not None:
            permit()
        _rename(temporary, target)
        sync_folder(target.parent)
    except BaseException as error:
        if permit is not None:
            _set_aside_if_lost(error, temporary, target, permit)
        shutil.rmtree(temporary, ignore_errors=True)
        if known := explained(error, target, wanted):
            raise known from error
        raise


def replace_file(path: Path, data: bytes | Sequence[memoryview], permit: Permit | None = None) -> None:
    """Replace one file (run.json, campaign.toml) atomically. Missing parents are created.

    Parameters
    ----------
    path
        The file.
    data
        Its new content; a large one in several chunks.
    permit
        Asked immediately before the file is replaced; None where no other process writes it.

    Raises
    ------
    LeaseLostError
        If there is no permit.
    DiskError
        If the system refuses: the disk is full or not writable, ...
    """
    temporary = _temporary(path)
    try:
        make_folder(path.parent)
        _write_new(temporary, data)
        if permit is not None:
            permit()
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):  # the first error is the one to raise
            temporary.unlink()
        if permit is not None and isinstance(error, FileNotFoundError):
            permit()  # who has taken over has removed the temporary file
        if known := explained(error, path, _bytes_of(data)):
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
    path = _temporary(folder / TRIAL)
    try:
        try:
            _write_new(path, b"0" * min(max(size, 4096), _LARGEST_TRIAL))
        finally:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise explained(error, folder / "files", size) or error from error


def sweep(folder: Path, permit: Permit, *names: str, kept: Callable[[str], None] = lambda line: None) -> list[Path]:
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
    kept
        Is called with a line for each file or folder that cannot be removed. Readers ignore it.

    Returns
    -------
    list
        The paths that were removed.
    """
    left_over = [folder / name for name in _names(folder) if _is_left_over(name, names)]
    # Asked after the listing: what was listed is older than any lease that is newer than the caller's.
    permit()
    removed = []
    for path in left_over:
        # Moved first: a folder that is removed file by file could be renamed to its target half empty.
        moved = folder / f"{Layout.TEMPORARY}swept-{uuid.uuid4().hex}"
        try:
            os.rename(path, moved)
            if moved.is_dir() and not moved.is_symlink():
                shutil.rmtree(moved)
            else:
                moved.unlink()
        except FileNotFoundError:
            continue  # its process is at work and has removed it
        except OSError as error:
            there = moved if os.path.lexists(moved) else path
            kept(f"{there}: left by an interrupted process, cannot be removed ({error.strerror}); it does no harm")
            continue
        removed.append(path)
    return removed


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
        raise _there(target)


def _there(target: Path) -> FileExistsError:
    error = FileExistsError(f"{target} exists already, and committed folders are never changed")
    error.errno = errno.EEXIST  # as a second argument, it would stand in the message
    return error


def _rename(temporary: Path, target: Path) -> None:
    try:
        os.rename(temporary, target)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):  # another process has committed it since
            raise _there(target) from error
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


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise explained(error, folder / "files") or error from error


def _bytes_of(data: bytes | Sequence[memoryview]) -> int:
    return len(data) if isinstance(data, bytes) else sum(chunk.nbytes for chunk in data)


def _write_new(path: Path, data: bytes | Sequence[memoryview]) -> None:
    # Not with tempfile, whose files are readable by their owner only, whatever the umask is.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        for chunk in [memoryview(data)] if isinstance(data, bytes) else data:
            left = chunk.cast("B")
            while left:  # a write may take less than it was given; the next one says what hinders the rest
                count = os.write(descriptor, left)
                if count == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                left = left[count:]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
