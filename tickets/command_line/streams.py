"""Standard input, output and error when they are closed, or when the reader of the output has ended.

A command does its work whether or not its output is read.
"""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import sys
from contextlib import suppress
from typing import Any

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


class Lasting(io.RawIOBase):
    """A file descriptor that is written to until a write fails; later output is dropped.

    Parameters
    ----------
    descriptor
        The file descriptor.

    Attributes
    ----------
    failure
        Why a write failed; None if none did, or if it failed because the reader has ended.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.failure: OSError | None = None

    def writable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """The file descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        """Write or drop some bytes, and return their number."""
        content = memoryview(data)
        while True:
            try:
                return os.write(self._descriptor, content)
            except BlockingIOError:  # a non-blocking pipe that is full
                select.select([], [self._descriptor], [])
            except OSError as error:
                if not self._reader_gone(error):
                    self.failure = error
                discard(self._descriptor)
                return len(content)

    def _reader_gone(self, error: OSError) -> bool:
        """Whether the reader of a pipe has ended, or the terminal is gone."""
        gone = error.errno == errno.EIO and stat.S_ISCHR(os.fstat(self._descriptor).st_mode)
        return gone or error.errno == errno.EPIPE


def discard(descriptor: int) -> None:
    """Redirect a file descriptor, open or not, to os.devnull, for this process and for those that it starts.

    Parameters
    ----------
    descriptor
        The file descriptor.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere == descriptor:  # it was closed, and the lowest free number
        os.set_inheritable(descriptor, True)
        return
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def open_streams() -> list[Lasting]:
    """Redirect closed standard streams to os.devnull, and make output and error `Lasting`.

    If a standard stream stayed closed, the first file that is opened would get its number, and print() to a closed
    standard error would go to standard output. Streams that were replaced (by a test) are not changed.

    Returns
    -------
    list of Lasting
        The descriptors of output and error, for `close_streams`.
    """
    lasting = []
    for descriptor, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            discard(descriptor)
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # open until the process ends
        elif mode == "w" and stream is getattr(sys, f"__{name}__") and _has_descriptor(stream, descriptor):
            raw = Lasting(descriptor)
            again = io.TextIOWrapper(
                io.BufferedWriter(raw),
                encoding=stream.encoding,
                errors="replace",  # a terminal without ± gets a question mark
                line_buffering=stream.line_buffering or name == "stderr",
            )
            setattr(sys, name, again)
            lasting.append(raw)
        elif isinstance(stream, io.TextIOWrapper) and mode == "w":
            stream.reconfigure(errors="replace")
    return lasting


def _has_descriptor(stream: object, descriptor: int) -> bool:
    with suppress(AttributeError, OSError, ValueError):
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == descriptor
    return False


def close_streams(lasting: list[Lasting]) -> OSError | None:
    """Flush the standard streams.

    Parameters
    ----------
    lasting
        The result of `open_streams`.

    Returns
    -------
    OSError or None
        Why a write failed, now or earlier; None if none did, or if the reader of the output has ended.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    return next((raw.failure for raw in lasting if raw.failure is not None), None)
