"""One process at a time writes to a campaign folder."""

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
def lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a campaign's folder: `.lock`, with the process id in it.

    A missing folder is made. The lock goes with the process, however that ends. Raises InputError at once if
    another process holds it, or if the file system has no locks; then what was made is removed again.
    """
    path = folder / Layout.LOCK
    try:
        made = [part for part in (path, *path.parents) if not part.exists()]  # the deepest first
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        cannot = InputError(f"{folder}: cannot be a campaign's folder ({error.strerror}); give another (--out)")
        raise explained(error, path) or cannot from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise InputError(
                f"another `tickets run` (process {holder}) is at work in {folder}; "
                "wait until it ends, or write to another folder (--out)"
            ) from error
        except OSError as error:  # ENOSYS, EOPNOTSUPP, ENOLCK, and whatever else a file system says
            _remove(made)
            raise InputError(
                f"{folder}: lies on a file system that locks no files ({error.strerror}), as some NFS, Lustre and FUSE "
                "mounts; write to a folder on another file system (--out), or have it mounted with flock"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
        # The file stays: were it removed, a process that has it open would lock a file without a name.
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _remove(made: Sequence[Path]) -> None:
    """Remove the lock's file and folders that were made for it, as far as they are empty."""
    with suppress(OSError):
        for part in made:
            part.rmdir() if part.is_dir() else part.unlink()
