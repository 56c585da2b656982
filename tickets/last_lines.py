"""The last lines that another process wrote to its standard error, for whoever wants to know why it ended."""

from __future__ import annotations

import errno
import os
import re
import select
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from tickets.users_code import is_users_file, shown

LINES = 20
_LONGEST = 500  # characters of a line
_KEPT = 64 * 2**10  # bytes of the end of what it wrote
_FATAL = "Fatal Python error"
_NOISE = "Extension modules:"  # ends that report, with the names of all that are loaded
_FRAME = re.compile(r' *File "(?P<file>.*)", line (?P<line>\d+) in (?P<function>.*)')


class LastLines:
    """What processes write to their standard error: passed on to that of this process, and the end of it kept."""

    def __init__(self) -> None:
        self._kept = b""
        self._thread: threading.Thread | None = None

    @contextmanager
    def of_processes_started(self) -> Iterator[None]:
        """A block in which standard error is a pipe, which the processes that start there inherit.

        So it is theirs from their first moment. What another thread of this process writes in the block is passed on
        as well. Without a standard error, nothing is kept.

        Raises
        ------
        OSError
            If the system gives no more files or threads.
        """
        try:
            outside = os.dup(2)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            yield
            return
        try:
            reading, writing = os.pipe()
        except OSError:
            os.close(outside)
            raise
        try:
            os.dup2(writing, 2)
            try:
                yield
            finally:
                os.dup2(outside, 2)
        finally:
            os.close(writing)
            self._start(reading, outside)

    def lines(self) -> list[str]:
        """The last lines, without empty ones; where Python itself has failed, those that begin with its report."""
        text = self._kept.decode("utf-8", "backslashreplace")
        found = [_printable(line.rstrip())[:_LONGEST] for line in text.splitlines() if line.strip()]
        found = [line for line in found if not line.startswith(_NOISE)]
        fatal = [index for index, line in enumerate(found) if line.startswith(_FATAL)]
        return found[fatal[-1] :][:LINES] if fatal else found[-LINES:]

    def finish(self, seconds: float) -> None:
        """Wait until all that an ended process wrote is passed on, but no longer than some seconds."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _start(self, reading: int, outside: int) -> None:
        thread = threading.Thread(target=self._pass_on, args=(reading, outside), daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            os.close(reading)
            os.close(outside)
            raise OSError(errno.EAGAIN, str(error)) from error
        self._thread = thread

    def _pass_on(self, reading: int, outside: int) -> None:
        try:
            while chunk := os.read(reading, 2**16):
                self._kept = (self._kept + chunk)[-_KEPT:]
                with suppress(OSError):  # nobody reads it any more
                    _write(outside, chunk)
        finally:
            os.close(reading)
            os.close(outside)


def place_of_crash(lines: Sequence[str]) -> str | None:
    """Where in the user's code Python was as it crashed: "nets.py:12, in net".

    Parameters
    ----------
    lines
        The report that Python's faulthandler writes, the innermost call first.

    Returns
    -------
    str or None
        None if there is no such report, or if none of its lines is the user's.
    """
    for line in lines if lines and lines[0].startswith(_FATAL) else ():
        frame = _FRAME.fullmatch(line)
        if frame is not None and is_users_file(frame["file"]):
            return f"{shown(frame['file'])}:{frame['line']}, in {frame['function']}"
    return None


def _write(descriptor: int, chunk: bytes) -> None:
    while chunk:
        try:
            chunk = chunk[os.write(descriptor, chunk) :]
        except BlockingIOError:  # a non-blocking pipe that is full
            select.select([], [descriptor], [])


def _printable(line: str) -> str:
    """The line with control characters as Python writes them: it is shown on a terminal later."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
