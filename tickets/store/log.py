"""A run's log: one event per line, each appended by a single write, so that several workers can share the file.

Each line begins with a check value of its own, so that a changed bit in it is found. Lines of earlier versions have
none.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tickets.errors import DiskError, InputError
from tickets.opening import kind_of, read_regular
from tickets.store.durable import sync_folder, write_all
from tickets.store.refused import AGAIN, explained
from tickets.store.sealed import parse_json

LARGEST_LOG = 2**30  # bytes

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


def read_events(log: Path) -> list[dict[str, Any]]:
    """The events of a log, oldest first, without incomplete or damaged lines; empty if there is no log.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    return [line.event for line in read_lines(log) if line.event is not None]


@dataclass(frozen=True)
class Line:
    """A line of a log.

    Attributes
    ----------
    number
        From 1.
    event
        What it says; None if it cannot be read.
    problem
        How it differs from a line that was written; None if it does not, or if a crash left it incomplete.
    """

    number: int
    event: dict[str, Any] | None
    problem: str | None


def read_lines(log: Path) -> list[Line]:
    """All lines of a log, oldest first; errors as for `read_events`."""
    try:
        lines = read_regular(log, at_most=LARGEST_LOG).split(b"\n")
    except FileNotFoundError:
        return []
    except DiskError:
        raise
    except InputError as error:
        raise InputError(f"{error}; `tickets verify` lists all damage; move it away, or run with --repair") from error
    return list(_lines(lines))


def _lines(lines: list[bytes]) -> Iterator[Line]:
    *ended, last = lines  # without a newline: empty, or left incomplete by a crash
    events = [_parsed(line) for line in ended]
    for number, (text, event, after) in enumerate(zip(ended, events, [*events, None][1:], strict=True), 1):
        # Earlier versions did not write how long an incomplete line is.
        earlier = number < len(ended) and ended[number].startswith(_EARLIER)
        torn = event is None and after is not None and (earlier or after.get("torn") == len(text))
        yield Line(number, event, None if torn else _problem(text, event))
    if last:
        yield Line(len(lines), None, None if _is_begun(last) else "is not the beginning of a line")


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
