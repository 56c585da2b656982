"""Standard input, output and error where they are closed, or where nobody reads what is written.

A command says what it does; whether anyone listens does not decide whether it is done.
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
    """A descriptor that is written to for as long as that goes; what comes after is dropped.

    failure: why it went no longer, None if it did, or if merely nobody reads any more.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.failure: OSError | None = None

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Its number."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        """Write, or drop, some bytes; how many."""
        content = memoryview(data)
        while True:
            try:
                return os.write(self._descriptor, content)
            except BlockingIOError:  # a pipe that does not wait, and is full
                select.select([], [self._descriptor], [])
            except OSError as error:
                if not self._nobody_reads(error):
                    self.failure = error
                discard(self._descriptor)
                return len(content)

    def _nobody_reads(self, error: OSError) -> bool:
        """Whether the reader of a pipe has ended, or the terminal is gone."""
        gone = error.errno == errno.EIO and stat.S_ISCHR(os.fstat(self._descriptor).st_mode)
        return gone or error.errno == errno.EPIPE


def discard(descriptor: int) -> None:
    """Have a descriptor, open or not, lead nowhere: for this process and for those that it starts."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere == descriptor:  # it was the lowest that was free
        os.set_inheritable(descriptor, True)
        return
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def open_streams() -> list[Lasting]:
    """Open what was closed, to nowhere, and have what is written last as long as the process; output and error.

    Left closed, the first file that is opened would get the number of a standard stream, and print() to a closed
    standard error would go to standard output. Streams that are not the process's own (a test's) stay as they are.
    """
    lasting = []
    for descriptor, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            discard(descriptor)
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # as long as the process
        elif mode == "w" and stream is getattr(sys, f"__{name}__") and _leads_to(stream, descriptor):
            raw = Lasting(descriptor)
            again = io.TextIOWrapper(
                io.BufferedWriter(raw),
                encoding=stream.encoding,
                errors="replace",  # a terminal that knows no ± gets a question mark, not an end
                line_buffering=stream.line_buffering or name == "stderr",
            )
            setattr(sys, name, again)
            lasting.append(raw)
        elif isinstance(stream, io.TextIOWrapper) and mode == "w":
            stream.reconfigure(errors="replace")
    return lasting


def _leads_to(stream: object, descriptor: int) -> bool:
    with suppress(AttributeError, OSError, ValueError):
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == descriptor
    return False


def close_streams(lasting: list[Lasting]) -> OSError | None:
    """Write what is still to be written; why that, or an earlier part, could not be, where someone wanted it."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    return next((raw.failure for raw in lasting if raw.failure is not None), None)
