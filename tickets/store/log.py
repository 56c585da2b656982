"""A run's log: one event per line, each appended by a single write, so that several workers can share the file."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tickets.errors import InputError
from tickets.store.commit import explained


def append_event(log: Path, event: Mapping[str, Any]) -> None:
    """Append one line to a log: the event, with the UTC time as "time".

    If a crash left the last line incomplete, the event starts a new line.

    Parameters
    ----------
    log
        The file.
    event
        JSON values; "event" is the kind of event ("started", "round", "failed" with "why", ...).

    Raises
    ------
    InputError
        If the disk is full.
    """
    stamped = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **event}
    line = (json.dumps(stamped, ensure_ascii=False, allow_nan=False) + "\n").encode()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(log, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            # A single write: with O_APPEND the lines of two processes never mix.
            whole = b"\n" + line if torn else line
            if os.write(descriptor, whole) < len(whole):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)
    except OSError as error:
        if known := explained(error, log, len(line)):
            raise known from error
        raise


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
