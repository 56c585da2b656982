"""Open files that somebody else may have written: only regular files, and no more bytes than a limit.

A FIFO in the place of a file would make a reader wait for ever, and a link can point to anything, such as /dev/zero.
A campaign file alone may be a stream: standard input, or a descriptor that the shell opened (`<(command)`).
"""

from __future__ import annotations

import os
import re
import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from tickets.errors import DiskError, InputError

AGAIN = "if this goes on, check the disk, its mount and the permissions"  # the remedy for what a disk refuses
LARGEST = 2**40  # bytes; the limit for files without one of their own
_CHUNK = 2**20
_STREAM = re.compile(r"/dev/stdin|(?:/dev/fd|/proc/self/fd)/(\d{1,9})")

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextmanager
def open_regular(path: Path, *, follow: bool = False, at_most: int = LARGEST) -> Iterator[BufferedReader]:
    """Open a regular file for reading.

    Parameters
    ----------
    path
        The file.
    follow
        Whether a link is followed: True for paths that the user gave, False within saved folders.
    at_most
        The most bytes that the file may have.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If it is not a regular file, or larger than `at_most`.
    DiskError
        If it cannot be opened.
    """
    descriptor, _ = _opened(path, follow, at_most)
    try:
        file = os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise
    with file:
        yield file


def read_regular(path: Path, *, follow: bool = False, at_most: int = LARGEST) -> bytes:
    """The content of a regular file; for the parameters and errors see `open_regular`."""
    descriptor, size = _opened(path, follow, at_most)
    try:
        # A read allocates what it is asked for, and gives less only at the end of the file or where it is very large.
        data = os.read(descriptor, size + 1)
        while len(data) != size and len(data) <= at_most:
            more = os.read(descriptor, max(_CHUNK, size + 1 - len(data)))
            if not more:
                break
            data += more
    except OSError as error:
        raise DiskError(f"{path}: cannot be read ({error.strerror}); {AGAIN}") from error
    except MemoryError as error:
        raise DiskError(f"{path}: does not fit into the memory of this machine; read it on one with more") from error
    finally:
        with suppress(OSError):  # it was only read
            os.close(descriptor)
    if len(data) > at_most:
        raise InputError(f"{path}: has more than {at_most:,} bytes")
    return data


def _opened(path: Path, follow: bool, at_most: int) -> tuple[int, int]:
    """(descriptor, size) of a regular file of at most so many bytes."""
    # O_NONBLOCK: opening a FIFO does not wait for a writer. It has no effect on regular files.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _refused(path, error, follow) from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path}: is {kind_of(found.st_mode)}, not a regular file")
        if found.st_size > at_most:
            raise InputError(f"{path}: has {found.st_size:,} bytes; such a file has at most {at_most:,}")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, found.st_size


def is_stream(path: Path) -> bool:
    """Whether a path names a descriptor of this process, by the shell's own names, that is a pipe or a socket."""
    named = _STREAM.fullmatch(str(path))
    try:
        mode = os.fstat(int(named[1] or 0)).st_mode if named else 0
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def read_stream(path: Path, *, at_most: int) -> bytes:
    """What a stream gives until its writer ends; see `is_stream`. It can be read only once.

    Raises
    ------
    InputError
        If that is more than `at_most` bytes.
    DiskError
        If it cannot be read.
    """
    named = _STREAM.fullmatch(str(path))
    assert named is not None
    descriptor, data = int(named[1] or 0), bytearray()
    try:
        while piece := _piece(descriptor, at_most + 1 - len(data)):
            data += piece
    except OSError as error:
        raise DiskError(f"{path}: cannot be read ({error.strerror}); {AGAIN}") from error
    if len(data) > at_most:
        raise InputError(f"{path}: gives more than {at_most:,} bytes")
    return bytes(data)


def _piece(descriptor: int, at_most: int) -> bytes:
    while True:
        try:
            return os.read(descriptor, min(at_most, _CHUNK))
        except BlockingIOError:  # whoever opened it made it non-blocking
            select.select([descriptor], [], [])


def kind_of(mode: int) -> str:
    """What a file is that is not a regular one, from its `st_mode`: "a FIFO", "a folder", ..."""
    return _KINDS.get(stat.S_IFMT(mode), "a special file")


def _refused(path: Path, error: OSError, follow: bool) -> InputError:
    """The error for a file that could not be opened."""
    try:
        mode = os.stat(path, follow_symlinks=follow).st_mode
    except OSError:
        mode = stat.S_IFREG
    if not stat.S_ISREG(mode):
        return InputError(f"{path}: is {kind_of(mode)}, not a regular file")
    return DiskError(f"{path}: cannot be read ({error.strerror}); {AGAIN}")
