"""The lock of a campaign folder: one process at a time writes to it."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tickets.errors import InputError
from tickets.opening import kind_of
from tickets.store.commit import make_folder
from tickets.store.layout import Layout
from tickets.store.refused import AGAIN, explained


@contextmanager
def lock(folder: Path, remedy: str = ", or write to another folder (--out)") -> Iterator[None]:
    """Hold the lock of a campaign's folder, the file `.lock`, which contains the process id.

    A missing folder is created. The operating system releases the lock when the process ends for any reason.

    Parameters
    ----------
    folder
        The campaign's folder.
    remedy
        What may be done instead of waiting, for the error.

    Raises
    ------
    InputError
        If another process holds the lock (without waiting for it), if the lock is no regular file, or if the file
        system does not support locks; then the files and folders created here are removed.
    DiskError
        If the system refuses: the disk is full or not writable, ...
    """
    path = folder / Layout.LOCK
    try:
        made = [part for part in (path, *path.parents) if not part.exists()]  # the deepest first
        make_folder(folder)
        # Not followed: a link could have another file emptied. O_NONBLOCK: opening a FIFO or a device does not wait.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        raise explained(error, path) or error from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise InputError(f"{path}: is {kind_of(mode)}, not a regular file; remove it {AGAIN}")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"another `tickets run` (process {_holder(descriptor)}) is at work in {folder}; wait until it ends"
                f"{remedy}"
            ) from error
        except OSError as error:  # ENOSYS, EOPNOTSUPP, ENOLCK and others, by file system
            _remove(made)
            raise InputError(
                f"{folder}: lies on a file system that locks no files ({error.strerror}), as some NFS, Lustre and FUSE "
                "mounts; write to a folder on another file system (--out), or have it mounted with flock"
            ) from error
        _name_holder(descriptor, f"{os.getpid()}\n")
        yield
        # The file is not removed: a process that has it open would then lock a file without a name.
        _name_holder(descriptor, "")
    finally:
        with suppress(OSError):  # it is closed, whatever close says, and nothing of worth was written to it
            os.close(descriptor)


def _name_holder(descriptor: int, text: str) -> None:
    """Write who holds the lock. It is only told to others, so that a full disk is no reason to stop here."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)


def _holder(descriptor: int) -> str:
    with suppress(OSError):
        return os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
    return "unknown"


def _remove(made: Sequence[Path]) -> None:
    """Remove the lock file and the empty folders that were created for it."""
    with suppress(OSError):
        for part in made:
            part.rmdir() if part.is_dir() else part.unlink()
