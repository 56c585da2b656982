"""Watching the leases of other processes, to see whether they are renewed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tickets.errors import InputError
from tickets.store.holder import LONGEST, Holder, holder_of

SECONDS = 300.0  # without renewal, after which a lease has expired
VARIABLE = "TICKETS_LEASE_SECONDS"  # of the environment: another number of seconds

_LOOKS = 10  # the least number of looks at a lease before it counts as expired


class Watch:
    """Looks at leases of others again and again, and judges by this process's own clock whether they have expired.

    Parameters
    ----------
    clock
        Gives seconds, and never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[Path, tuple[str, float, float]] = {}  # mark, seconds without a change, time of the last look

    def look(self, folder: Path) -> tuple[Literal["free", "held", "expired"], Holder | None]:
        """Look at a folder's lease.

        Parameters
        ----------
        folder
            The folder.

        Returns
        -------
        str
            "free": can be taken now. "expired": can be taken, with the mark of the holder. "held": cannot be taken.
        Holder or None
            Who has it, or had it; None if there is no lease.
        """
        now = self._clock()
        try:
            holder = holder_of(folder)
        except OSError:
            holder = None  # taking it raises the error
        if holder is None or holder.is_over:
            self._seen.pop(folder, None)
            return "free", holder
        seconds = seconds_of(holder)
        mark, unchanged, before = self._seen.get(folder, (None, 0.0, now))
        # A watcher that was stopped has not watched: the owner may have been stopped with it, as in a virtual machine.
        unchanged = unchanged + min(now - before, seconds / _LOOKS) if mark == holder.mark else 0.0
        self._seen[folder] = holder.mark, unchanged, now
        return ("expired" if unchanged >= seconds else "held"), holder


def seconds_of(holder: Holder) -> float:
    """The time without renewal after which a holder's lease has expired; that of this process if it does not say."""
    return holder.seconds or lease_seconds()


def look_again_after(looks: int) -> float:
    """Seconds to wait before the next look at the leases of others, after so many looks."""
    return min(0.05 * 1.2 ** min(looks, 30), lease_seconds() / (2 * _LOOKS))


def lease_seconds() -> float:
    """The time without renewal after which a lease of this process has expired: $TICKETS_LEASE_SECONDS, or 300.

    Raises
    ------
    InputError
        If the variable is no such number.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.5 <= seconds <= LONGEST:
        raise InputError(f"{VARIABLE} = {text[:40]!r}: must be a number of seconds from 0.5 to {LONGEST:,}")
    return seconds
