"""Leases: of several processes that write to one folder, on one machine or on many, one at a time has the folder.

A lease is a file `.lease-000007` in the folder. The number is its generation, and the file with the highest number has
the folder. To take a folder over is to create the next file; the owner of the one before finds that it is no longer the
highest. Each owner renews its file by writing to it, and nobody else writes to it. All that this needs of a file system
is that of two processes that create one file, one fails, as on local file systems and on NFS from version 3. On file
systems with hard links a lease file is never there in part (see `tickets.store.exclusive`).

- **Expired** is a lease that a reader has watched for its whole time (5 minutes) without a change. The clocks of two
  machines are never compared. That a process of this machine has ended is seen at once.
- **Fence**: who has taken a folder first moves the temporary files that it finds there out of the way. What an earlier
  owner had begun to write can then no longer be renamed to its place. What it begins later it may not rename, since it
  asks for the permit (`check`) in between. Nothing is committed under an old lease, wherever its process was stopped.
- **Released** leases are removed, and the numbers begin again at 1. An owner knows its file by a random text in it.

What is committed has the same bits whoever trains it. A process that loses its lease without need, because it was
stopped for long, has lost time and nothing else.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tickets.errors import DiskError, InputError, LeaseLostError
from tickets.opening import AGAIN
from tickets.store.durable import make_folder
from tickets.store.exclusive import new_file
from tickets.store.holder import LAST, Holder, Progress, encode, generations, holder_of, lease_file, released
from tickets.store.layout import Layout
from tickets.store.processes import who
from tickets.store.refused import explained
from tickets.store.temporary import sweep
from tickets.store.watch import lease_seconds

_BEATS = 5  # renewals in the time after which a lease has expired, at least
_OFTEN_S = 15.0  # between two renewals, at most: `tickets status` shows the progress in them
_TRIES = 20  # at the next generation, if others are faster
_READS = 3  # of a lease file of this process that cannot be read


class HeldError(InputError):
    """A folder is another process's.

    Parameters
    ----------
    folder
        The folder.
    holder
        Who has it.
    """

    def __init__(self, folder: Path, holder: Holder) -> None:
        self.folder, self.holder = folder, holder
        super().__init__(f"{holder} is at work in {folder}; wait until it ends, and run the same command again")

    def __reduce__(self) -> tuple[type[HeldError], tuple[Any, ...]]:
        return type(self), (self.folder, self.holder)


class Lease:
    """A lease of this process; `take` makes one. A thread renews it until it is released.

    Parameters
    ----------
    folder
        The folder that it is of.
    generation
        Its number.
    owner
        The random text by which its file is known.
    seconds
        The time without renewal after which it has expired.
    descriptor
        Its open file.

    Attributes
    ----------
    record
        "owner", "host", "process", "generation" and, if there is one, "job", for a log.
    progress
        What this process is doing, for those who look at the lease; it may be set at any time.
    """

    def __init__(self, folder: Path, generation: int, owner: str, seconds: float, descriptor: int) -> None:
        self.folder, self.generation, self._owner, self._seconds = folder, generation, owner, seconds
        self.record = {"owner": owner, **who(), "generation": generation}
        self.progress: Progress | None = None
        self._descriptor, self._beat, self._process = descriptor, 0, os.getpid()
        self._lost: str | None = None
        self._closing = threading.Lock()  # a renewal never writes to a descriptor that is closed, and another file's
        self._released = threading.Event()
        threading.Thread(target=self._renew, name="tickets-lease", daemon=True).start()

    def check(self) -> None:
        """Raise an error unless this process still has the folder. Reads the folder.

        Raises
        ------
        LeaseLostError
            If another process has taken the folder over.
        DiskError
            If the folder has been moved or removed.
        """
        if self._lost is None:
            self._lost = self._why_lost()
        self.raise_if_lost()

    def raise_if_lost(self) -> None:
        """As `check`, from what was found when the lease was last renewed or checked: fast.

        Raises
        ------
        LeaseLostError
            If another process has taken the folder over.
        """
        if self._lost is not None:
            raise LeaseLostError(self._lost)

    def release(self) -> None:
        """Remove the lease file, unless it is another process's by now, and stop renewing it."""
        if self._process != os.getpid() or self._released.is_set():
            return  # a fork of the process must not release what its parent has
        self._released.set()
        released.add(self._owner)
        with self._closing:
            with suppress(OSError, InputError):
                if self._is_ours(holder_of(self.folder)):
                    lease_file(self.folder, self.generation).unlink()
            with suppress(OSError):  # as a network file system says of what was written before
                os.close(self._descriptor)

    def _renew(self) -> None:
        while not self._released.wait(min(self._seconds / _BEATS, _OFTEN_S)):
            with self._closing:
                if self._released.is_set():
                    return
                self._beat += 1
                # Where disk or memory fail for a while, the next renewal may do; if none does, others take the folder
                # over, and `check` finds that.
                with suppress(Exception):
                    os.pwrite(self._descriptor, encode(self._owner, self._seconds, self._beat, self.progress), 0)
                    os.fsync(self._descriptor)  # to the server of a network file system
                    self._lost = self._lost or self._why_lost()

    def _why_lost(self) -> str | None:
        now = self._holder()
        for _ in range(_READS - 1):
            if self._is_ours(now) or not self._may_be_ours(now):
                break
            time.sleep(0.01)
            now = self._holder()
        if self._is_ours(now):
            return None
        if self._may_be_ours(now):
            raise DiskError(
                f"{lease_file(self.folder, self.generation)}: the lease file of this process cannot be read; check the "
                "disk, and run the same command to go on"
            )
        had = f"this process had generation {self.generation} and did not renew it for {self._seconds:g} s"
        if now is None:
            return f"{self.folder}: the lease of this process is gone: another one took it over and has ended, {had}"
        return f"{self.folder}: {now} has taken it over (generation {now.generation}); {had}"

    def _holder(self) -> Holder | None:
        try:
            return holder_of(self.folder)
        except FileNotFoundError as error:
            raise DiskError(
                f"{self.folder}: was moved or removed while it was written to; nothing more is written there; run the "
                "same command again where the campaign is now (--out)"
            ) from error
        except OSError as error:
            raise DiskError(f"{self.folder}: cannot read this folder ({error.strerror}); {AGAIN}") from error

    def _may_be_ours(self, found: Holder | None) -> bool:
        """Whether the file with the highest number is that of this lease, as far as its name says, and is unreadable.

        No other process has taken the folder over then: it would have created a file with a higher number.
        """
        return found is not None and found.generation == self.generation and found.owner is None

    def _is_ours(self, found: Holder | None) -> bool:
        return found is not None and (found.generation, found.owner) == (self.generation, self._owner)


def take(folder: Path, expired: str | None = None) -> Lease:
    """Take the lease of a folder, without waiting.

    Parameters
    ----------
    folder
        The folder; it is created, but not its parent.
    expired
        The mark of the holder whose lease has expired, as a `Watch` has seen it.

    Raises
    ------
    HeldError
        If another process has it, unless that is one of this machine that has ended, or the expired one.
    DiskError
        If the lease file cannot be written.
    """
    seconds = lease_seconds()
    try:
        make_folder(folder, parents=False)
        for _ in range(_TRIES):
            present = holder_of(folder)
            if present is not None and not present.is_over and present.mark != expired:
                raise HeldError(folder, present)
            generation = 1 if present is None else present.generation + 1
            if generation > LAST:
                raise DiskError(f"{lease_file(folder, LAST)}: no lease of this program; remove the file")
            lease = _created(folder, generation, seconds, present)
            if lease is not None:
                return lease
        raise HeldError(folder, holder_of(folder) or Holder(0, ""))
    except OSError as error:
        path = lease_file(folder, 1)
        cannot = f"{folder}: cannot write a lease file here ({error.strerror}); check the disk and its permissions"
        raise explained(error, path) or DiskError(cannot) from error


@contextmanager
def taken(folder: Path, expired: str | None = None) -> Iterator[Lease]:
    """A block in which this process has a folder; it begins by removing what an interrupted process was writing there.

    The parameters and errors are those of `take`.
    """
    lease = take(folder, expired)
    try:
        sweep(folder, lease.check)
        yield lease
    finally:
        lease.release()


def _created(folder: Path, generation: int, seconds: float, before: Holder | None) -> Lease | None:
    """The lease of a generation; None if another process has created it, or a higher one.

    before: the holder after which it comes. Since numbers begin again at 1, another process may have taken the place of
    that one by now, and must not lose its lease.
    """
    path, owner = lease_file(folder, generation), uuid.uuid4().hex
    descriptor = None
    try:
        descriptor = new_file(path, encode(owner, seconds, 0), lambda: holder_of(folder) == before)
        if descriptor is None:
            return None
        numbers = generations(folder)
        if numbers[-1:] != [generation]:
            raise FileExistsError  # what this process saw of the folder was old
    except BaseException as error:
        released.add(owner)
        with suppress(OSError, InputError):
            if descriptor is not None:
                os.close(descriptor)
            if descriptor is not None or ((found := holder_of(folder)) is not None and found.owner == owner):
                path.unlink()
        if isinstance(error, FileExistsError):
            return None
        raise
    for number in numbers[:-1]:
        _remove(lease_file(folder, number))
    return Lease(folder, generation, owner, seconds, descriptor)


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():  # whoever put it there may want it
            path.rename(path.with_name(f"{Layout.SET_ASIDE}{path.name.lstrip('.')}-{uuid.uuid4().hex[:8]}"))
        else:
            path.unlink()
