"""A run's log: one event per line, each appended by a single write, so that several workers can share the file."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tickets.errors import InputError
from tickets.opening import kind_of
from tickets.store.commit import sync_folder
from tickets.store.refused import AGAIN, explained


def append_event(log: Path, event: Mapping[str, Any]) -> None:
    """Append one line to a log and sync it to the disk: the event, with the UTC time as "time".

    If a crash left the last line incomplete, the event starts a new line. The run's folder must be there: one that was
    removed or moved away is not made again.

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
    stamped = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **event}
    line = (json.dumps(stamped, ensure_ascii=False, allow_nan=False) + "\n").encode()
    # O_NONBLOCK: a FIFO of this name does not make it wait for a reader.
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(log, flags, 0o666)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise InputError(f"{log}: is {kind_of(found.st_mode)}, not a regular file; move it away {AGAIN}")
            size = found.st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            _write(descriptor, b"\n" + line if torn else line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if size == 0:
            sync_folder(log.parent)
    except OSError as error:
        raise explained(error, log, len(line)) or error from error


def _write(descriptor: int, line: bytes) -> None:
    # A single write: with O_APPEND the lines of two processes never mix. After a short one, the next says why.
    count = os.write(descriptor, line)
    while 0 < count < len(line):
        line = line[count:]
        count = os.write(descriptor, line)
    if count == 0:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_events(log: Path) -> list[dict[str, Any]]:
    """The events of a log, oldest first, without incomplete lines; empty if there is no log.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    try:
        lines = log.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{log}: cannot read this file ({error.strerror})") from error
    return [event for event in map(_parsed, lines) if event is not None]


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
