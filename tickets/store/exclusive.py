"""Create a lease file: of several processes that try, one succeeds, and the file is never there in part.

A process that is killed in between leaves a temporary file. Half a lease would be the lease of somebody unknown, for
which everybody waits until it expires.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tickets.store.durable import write_all
from tickets.store.temporary import LEASE, temporary

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
# What file systems without links say: FAT, some network and FUSE mounts.
_NO_LINKS = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK)


def new_file(path: Path, content: bytes, still: Callable[[], bool] = lambda: True) -> int | None:
    """Write a file that appears with its whole content, unless there is a file of its name, and leave it open.

    Parameters
    ----------
    path
        The file.
    content
        Its content.
    still
        Asked immediately before the file appears, since it takes time to write it; if it says False, there is no file.

    Returns
    -------
    int or None
        The descriptor of the open file; None if there is a file of this name, or if `still` says False.

    Raises
    ------
    OSError
        If the system refuses.
    """
    beside = temporary(path.with_name(LEASE))
    descriptor = os.open(beside, _NEW, 0o666)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
        if still() and _linked(beside, path, descriptor):
            return descriptor
        os.close(descriptor)
        return None
    except BaseException as error:
        with suppress(OSError):
            os.close(descriptor)
        if isinstance(error, OSError) and error.errno in _NO_LINKS:
            return _new_in_place(path, content)
        raise
    finally:
        with suppress(OSError):
            beside.unlink()


def _linked(beside: Path, path: Path, descriptor: int) -> bool:
    try:
        os.link(beside, path)
    except FileExistsError:
        # A network file system may have made the link, lost the answer, and tried again.
        return os.fstat(descriptor).st_nlink > 1
    except FileNotFoundError:
        return False  # swept by the process that has the folder
    return True


def _new_in_place(path: Path, content: bytes) -> int | None:
    """As `_new_file`, on file systems without links: the file is there before its content."""
    try:
        descriptor = os.open(path, _NEW, 0o666)
    except FileExistsError:
        return None
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            os.close(descriptor)
        with suppress(OSError):
            path.unlink()
        raise
    return descriptor
