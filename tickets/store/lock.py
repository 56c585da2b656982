"""The lock of a campaign folder: one process at a time writes to it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tickets.errors import InputError
from tickets.store.commit import explained
from tickets.store.layout import Layout


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
        If another process holds the lock (without waiting for it), or if the file system does not support locks; then
        the files and folders created here are removed.
    """
    path = folder / Layout.LOCK
    try:
        made = [part for part in (path, *path.parents) if not part.exists()]  # the deepest first
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        cannot = InputError(f"{folder}: cannot be a campaign's folder ({error.strerror}); give another (--out)")
        raise explained(error, path) or cannot from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise InputError(
                f"another `tickets run` (process {holder}) is at work in {folder}; wait until it ends{remedy}"
            ) from error
        except OSError as error:  # ENOSYS, EOPNOTSUPP, ENOLCK and others, by file system
            _remove(made)
            raise InputError(
                f"{folder}: lies on a file system that locks no files ({error.strerror}), as some NFS, Lustre and FUSE "
                "mounts; write to a folder on another file system (--out), or have it mounted with flock"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
        # The file is not removed: a process that has it open would then lock a file without a name.
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _remove(made: Sequence[Path]) -> None:
    """Remove the lock file and the empty folders that were created for it."""
    with suppress(OSError):
        for part in made:
            part.rmdir() if part.is_dir() else part.unlink()
