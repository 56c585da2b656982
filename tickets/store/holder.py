"""Who holds a lease: the content of a lease file, and whether the process that it names has ended.

A lease file is one line of JSON, padded with spaces to a fixed size, so that its owner renews it by a single write.
Others may write anything into such a file: it is read as a regular file of bounded size, and what cannot be read is the
lease of somebody unknown.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickets.errors import InputError
from tickets.opening import read_regular
from tickets.store.layout import Layout
from tickets.store.processes import UNKNOWN, here, job, started_at

SIZE = 1024  # bytes of a lease file
LAST = 10**12 - 1  # the highest generation
LONGEST = 86_400  # seconds without renewal after which a lease has expired, at most

_NAME = re.compile(re.escape(Layout.LEASE) + r"(\d{6,12})")  # the number is the generation
_LOOKS = 20  # at a folder in which lease files come and go
_WORD = re.compile(r"[\w.:\[\]-]{1,64}")  # of letters that do nothing to a terminal
_LATEST = 2.5e11  # seconds since 1970: before the year 10,000
_JOB = re.compile(r"[a-z]{1,12} [\w.-]{1,60}")

released: set[str] = set()  # the owners of leases that this process released, whose files may still be there


@dataclass(frozen=True)
class Progress:
    """What the holder of a cohort's lease was doing.

    Parameters
    ----------
    since
        When it took the lease, in seconds since 1970 by its own clock.
    round
        The round that it trains.
    done, total
        The training steps that it has taken and that it takes in all, summed over the cohort's networks.
    """

    since: float
    round: int
    done: int
    total: int


@dataclass(frozen=True)
class Holder:
    """The holder of a lease, as the lease file says. What the file does not say is None.

    Parameters
    ----------
    generation
        The number of the lease.
    mark
        A hash of the file's content, which changes whenever the owner renews the lease.
    owner
        A random text that no other lease has.
    host
        The name of the machine.
    boot, namespace
        What tells the machine's starts and its containers apart, where the system says it.
    process, started
        The number of the process, and when it started, in a unit of the system.
    seconds
        The time without renewal after which the lease has expired.
    job
        The scheduler's job that it belongs to, such as "slurm 123_4".
    progress
        What it was doing when it last renewed the lease.
    """

    generation: int
    mark: str
    owner: str | None = None
    host: str | None = None
    boot: str | None = None
    namespace: str | None = None
    process: int | None = None
    started: str | None = None
    seconds: float | None = None
    job: str | None = None
    progress: Progress | None = None

    def __str__(self) -> str:
        if self.process is None or self.host is None:
            return "an unknown process"
        return f"process {self.process} on {self.host}" + (f" (job {self.job})" if self.job else "")

    @property
    def has_ended(self) -> bool:
        """Whether the process is one of this machine and has ended. False if that cannot be known here."""
        return self._is_running is False

    @property
    def is_at_work_here(self) -> bool:
        """Whether the process is one of this machine and has not ended. False if that cannot be known here."""
        return self._is_running is True

    @property
    def is_over(self) -> bool:
        """Whether the lease can be taken at once: its process has ended, or is this one, which has released it."""
        return self.has_ended or self.owner in released

    @property
    def _is_running(self) -> bool | None:
        """Whether the process is running; None if that cannot be known here."""
        if self.process is None or self.boot is None or (self.host, self.boot, self.namespace) != here():
            return None
        now = started_at(self.process)
        if now is not None and (now == UNKNOWN or self.started in (None, UNKNOWN)):
            return None  # its number may be another process's by now
        return now is not None and now == self.started


def generations(folder: Path) -> list[int]:
    """The numbers of the lease files in a folder, sorted.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    return sorted(int(match[1]) for match in map(_NAME.fullmatch, os.listdir(folder)) if match)


def lease_file(folder: Path, generation: int) -> Path:
    """The lease file of a generation."""
    return folder / f"{Layout.LEASE}{generation:06d}"


def holder_of(folder: Path) -> Holder | None:
    """The holder of a folder's lease, which is the file with the highest number; None if there is no lease file.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    found = None
    for _ in range(_LOOKS):
        numbers = generations(folder)
        if not numbers:
            return None
        path = lease_file(folder, numbers[-1])
        try:
            return _parsed(numbers[-1], read_regular(path, at_most=SIZE))
        except FileNotFoundError:
            found = Holder(numbers[-1], "gone")  # released since the folder was listed, or the listing is an old one
        except InputError:
            return Holder(numbers[-1], _mark_of_unreadable(path))
    return found


def encode(owner: str, seconds: float, beat: int, progress: Progress | None = None) -> bytes:
    """The content of a lease file of this process.

    Parameters
    ----------
    owner
        A random text that no other lease has.
    seconds
        The time without renewal after which the lease has expired.
    beat
        How often the lease has been renewed.
    progress
        What this process is doing, if that is known.
    """
    host, boot, namespace = here()
    content = {
        "owner": owner,
        "host": host,
        "boot": boot,
        "namespace": namespace,
        "process": os.getpid(),
        "started": _start_of(os.getpid()),
        "seconds": seconds,
        "job": job(),
        "progress": None if progress is None else vars(progress),
        # All digits, so that a mixture of two renewals, which a reader may see, is JSON too.
        "beat": f"{beat:012d}",
    }
    return json.dumps(content).encode().ljust(SIZE - 1) + b"\n"


@functools.cache
def _start_of(process: int) -> str | None:
    """`started_at` of this process, asked once: later it may have too many files open to ask."""
    return started_at(process)


def _parsed(generation: int, data: bytes) -> Holder:
    mark = f"{generation}:{hashlib.sha256(data).hexdigest()}"
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return Holder(generation, mark)
    if not isinstance(content, Mapping):
        return Holder(generation, mark)
    process, seconds = content.get("process"), content.get("seconds")
    return Holder(
        generation=generation,
        mark=mark,
        owner=_word(content.get("owner")),
        host=_word(content.get("host")),
        boot=_word(content.get("boot")),
        namespace=_word(content.get("namespace")),
        process=process if isinstance(process, int) and 0 < process < 2**31 else None,
        started=_word(content.get("started")),
        seconds=float(seconds) if isinstance(seconds, int | float) and 0.5 <= seconds <= LONGEST else None,
        job=found if isinstance(found := content.get("job"), str) and _JOB.fullmatch(found) else None,
        progress=_progress(content.get("progress")),
    )


def _progress(value: Any) -> Progress | None:
    try:
        found = Progress(**value)
        counts = (found.round, found.done, found.total)
        right = type(found.since) in (int, float) and 0 <= found.since < _LATEST
        return found if right and all(type(count) is int and 0 <= count < 2**63 for count in counts) else None
    except TypeError:
        return None


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def _mark_of_unreadable(path: Path) -> str:
    """A mark of a FIFO, a link, a file that is too large: what the folder says of it."""
    try:
        found = os.lstat(path)
    except OSError as error:
        return f"{path.name}: {error.errno}"
    return f"{path.name}: {found.st_mode} {found.st_ino} {found.st_size} {found.st_mtime_ns}"
