"""Make files, folders and their names durable: what these functions have done is there after a power cut."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from tickets.store.refused import explained

Chunks = bytes | Sequence[memoryview]
"""The content of a file; a large one in several chunks, so that it is not copied."""


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


def write_new(path: Path, data: Chunks) -> None:
    """Write a file that does not exist yet, and sync its content.

    Parameters
    ----------
    path
        The file.
    data
        Its content.

    Raises
    ------
    OSError
        If it cannot be written, or if it is there already.
    """
    # Not with tempfile, whose files are readable by their owner only, whatever the umask is.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        for chunk in [memoryview(data)] if isinstance(data, bytes) else data:
            write_all(descriptor, chunk)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of some bytes. A single write may take fewer; the next one then gives the reason as an error.

    Parameters
    ----------
    descriptor
        An open file.
    data
        The bytes.

    Raises
    ------
    OSError
        If the system refuses.
    """
    left = memoryview(data).cast("B")
    while left:
        count = os.write(descriptor, left)
        if count == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left = left[count:]


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


def bytes_of(data: Chunks) -> int:
    """The number of bytes of a file's content."""
    return len(data) if isinstance(data, bytes) else sum(chunk.nbytes for chunk in data)
