"""One process at a time writes to a campaign folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tickets.errors import InputError
from tickets.store.commit import explained
from tickets.store.layout import Layout


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a campaign's folder: `.lock`, with the process id in it.

    A missing folder is made. The lock goes with the process, however that ends. Raises InputError at once if
    another process holds it.
    """
    path = folder / Layout.LOCK
    try:
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
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
        # The file stays: were it removed, a process that has it open would lock a file without a name.
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)
