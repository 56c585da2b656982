"""A run's log: one event per line, each appended by a single write, so that several workers can share the file.

Each line begins with a check value of its own, so that a changed bit in it is found. Lines of earlier versions have
none.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from typing import Any

from tickets.errors import DiskError, InputError
from tickets.opening import kind_of, open_regular
from tickets.store.durable import sync_folder, write_all
from tickets.store.refused import AGAIN, explained
from tickets.store.sealed import parse_json

LARGEST_LOG = 2**30  # bytes
LONGEST_LINE = 2**22  # bytes; the traceback of a failure takes some thousands
# Lines of a log; of a longer one they have some bytes each on average, since each takes time.
MOST_LINES = 100_000
BYTES_A_LINE = 16

_BEGIN = b'{"check": "'
_DIGITS = 16  # of a SHA-256, in hexadecimal
_EARLIER = b'{"time": "'


def append_event(log: Path, event: Mapping[str, Any]) -> None:
    """Append one line to a log and sync it to the disk: a check value, the UTC time as "time", and the event.

    If a crash left the last line incomplete, the event starts a new line, and has the length of the incomplete one as
    "torn". The run's folder must be there: one that was removed or moved away is not made again.

    Parameters
    ----------
    log
        The file.
    event
        JSON values; "event" is the kind of event ("started", "round", "failed" with "why", ...).

    Raises
    ------
    InputError
        If the file is no regular file.
    DiskError
        If the system refuses: the disk is full or not writable, ...
    """
    # O_NONBLOCK: a FIFO of this name does not make it wait for a reader.
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    line = _line(event, 0)
    try:
        descriptor = os.open(log, flags, 0o666)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise InputError(f"{log}: is {kind_of(found.st_mode)}, not a regular file; move it away {AGAIN}")
            size = found.st_size
            if torn := _torn(descriptor):
                line = b"\n" + _line(event, torn)
            # A single write: with O_APPEND the lines of two processes never mix.
            write_all(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if size == 0:
            sync_folder(log.parent)
    except OSError as error:
        raise explained(error, log, len(line)) or error from error


def read_events(log: Path) -> Iterator[dict[str, Any]]:
    """The events of a log, oldest first, without incomplete or damaged lines; none if there is no log.

    Only one line of it is in memory at a time.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    return (line.event for line in read_lines(log) if line.event is not None)


@dataclass(frozen=True)
class Line:
    """A line of a log.

    Attributes
    ----------
    number
        From 1.
    text
        Its bytes, without the line break; the first bytes of one that is longer than `LONGEST_LINE`.
    event
        What it says; None if it cannot be read.
    problem
        How it differs from a line that was written; None if it does not, or if a crash left it incomplete.
    """

    number: int
    text: bytes
    event: dict[str, Any] | None
    problem: str | None


def read_lines(log: Path) -> Iterator[Line]:
    """All lines of a log, oldest first; errors as for `read_events`."""
    try:
        with open_regular(log, at_most=LARGEST_LOG) as file:
            yield from _lines(_texts(file, log))
    except FileNotFoundError:
        return
    except DiskError:
        raise
    except InputError as error:
        raise InputError(f"{error}; `tickets verify` lists all damage; move it away, or run with --repair") from error
    except OSError as error:
        raise DiskError(f"{log}: cannot be read ({error.strerror}); check the disk and its mount") from error


def _texts(file: BufferedReader, log: Path) -> Iterator[tuple[bytes, bool]]:
    """Each line without its line break, and whether it has one. What exceeds `LONGEST_LINE` is passed over."""
    for number in itertools.count(1):
        if not (text := file.readline(LONGEST_LINE)):
            return
        if number > MOST_LINES and file.tell() < BYTES_A_LINE * number:
            raise InputError(f"{log}: has more than {MOST_LINES:,} lines, of a few bytes each")
        ended = text.endswith(b"\n")
        while not ended and (more := file.readline(LONGEST_LINE)):
            ended = more.endswith(b"\n")
        yield text.removesuffix(b"\n"), ended


def _lines(texts: Iterator[tuple[bytes, bool]]) -> Iterator[Line]:
    before: Line | None = None  # whose problem is known once the line after it is
    for number, (text, ended) in enumerate(texts, 1):
        event = _parsed(text) if ended else None
        if before is not None:
            # Earlier versions did not write how long an incomplete line is.
            known = event is not None and (text.startswith(_EARLIER) or event.get("torn") == len(before.text))
            yield _judged(before, torn=known)
        before = Line(number, text, event, None) if ended else None
        if not ended:  # a crash left it
            yield Line(number, text, None, None if _is_begun(text) else "is not the beginning of a line")
    if before is not None:
        yield _judged(before, torn=False)


def _judged(line: Line, torn: bool) -> Line:
    """A line with its problem. torn: whether the line after it says that a crash left it incomplete."""
    return line if torn and line.event is None else replace(line, problem=_problem(line.text, line.event))


def _line(event: Mapping[str, Any], torn: int) -> bytes:
    stamped = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        **({"torn": torn} if torn else {}),
        **event,
    }
    text = json.dumps(stamped, ensure_ascii=False, allow_nan=False).encode()
    rest = b'", ' + text[1:] + b"\n"
    return _BEGIN + _check(rest[:-1]) + rest


def _check(rest: bytes) -> bytes:
    return hashlib.sha256(rest).hexdigest()[:_DIGITS].encode()


def _torn(descriptor: int) -> int:
    """The length of the last line if it has no end, else 0."""
    size = os.fstat(descriptor).st_size
    length, step = 0, 4096
    while length < size:
        start = max(0, size - length - step)
        found = os.pread(descriptor, size - length - start, start)
        newline = found.rfind(b"\n")
        if newline >= 0:
            return length + len(found) - newline - 1
        length += len(found)
        if not found:
            break
    return length


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The event of a line, without its check value; None if it cannot be read."""
    if not line.startswith(b"{"):
        return None
    try:
        event = parse_json(line)
    except ValueError:
        return None
    if not isinstance(event, dict):
        return None
    event.pop("check", None)
    cohort = event.get("cohort")
    return event if cohort is None or type(cohort) is int else None


def _problem(text: bytes, event: Mapping[str, Any] | None) -> str | None:
    if event is None:
        return "cannot be read"
    if text.startswith(_EARLIER):
        return None
    digits = text[len(_BEGIN) : len(_BEGIN) + _DIGITS]
    if text.startswith(_BEGIN) and _check(text[len(_BEGIN) + _DIGITS :]) == digits:
        return None
    return "changed after it was written: it does not fit its check value"


def _is_begun(text: bytes) -> bool:
    """Whether a last line without an end can be what a crash left of one."""
    try:
        _, end = json.JSONDecoder().raw_decode(text.decode(errors="replace"))
    except (ValueError, RecursionError):
        return any(text[: len(begin)] == begin[: len(text)] for begin in (_BEGIN, _EARLIER))
    return end == len(text.decode(errors="replace"))
