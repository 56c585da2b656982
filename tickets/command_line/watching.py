"""`tickets status`: who trains what, the time that is left, and `--watch`, which shows both again and again."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import tickets.store
from tickets.command_line.jobs import job_lines
from tickets.command_line.printing import escaped, print_line
from tickets.command_line.terminal import make_console
from tickets.errors import InputError
from tickets.plurals import counted
from tickets.store import RunStatus
from tickets.store.outlook import Outlook, outlook
from tickets.store.run_status import State
from tickets.store.trainers import AtWork

ASKED_EVERY_S = 30.0  # Slurm, which serves everybody
_SILENT_S = 60.0  # without a sign of a process that is worth saying
_STATES: tuple[State, ...] = ("done", "partial", "waiting", "failed")


def read_all(folder: Path) -> tuple[list[RunStatus], Outlook]:
    """The status of a folder's runs, by as many processes as help, and what is going on there."""
    found = tickets.store.status(folder, processes=min(os.cpu_count() or 1, 8))
    return found, outlook(folder, found)


def lines_of(going_on: Outlook) -> list[str]:
    """A line for each process that trains, and one for the time that is left."""
    lines = [_working(one) for one in going_on.working]
    if (seconds := going_on.seconds_left) is not None:
        workers = counted(max(1, len(going_on.working)), "worker")
        lines.append(f"about {spoken(seconds)} left for {workers}, by what each density has cost so far")
    return lines


def spoken(seconds: float) -> str:
    """A duration in the unit that suits it: "40 s", "12 min", "3.5 h", "2.1 days"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def watch(folder: Path, seconds: float, sleep: Callable[[float], None] = time.sleep) -> list[RunStatus]:
    """Show how far a campaign is, again and again, until all of its runs are done or have failed, or Ctrl-C.

    Parameters
    ----------
    folder
        The campaign's folder.
    seconds
        The time between two looks.
    sleep
        Waits for so many seconds.

    Returns
    -------
    list
        The status at the end.
    """
    from rich.live import Live

    console, jobs = make_console(), _Jobs(folder)
    found: list[RunStatus] = []
    with Live(console=console, auto_refresh=False) if console.is_terminal else _Lines() as shown:
        try:
            while True:
                found, going_on = read_all(folder)
                text = "\n".join(
                    map(escaped, summary(found, going_on, jobs.lines(found))[: max(2, console.height - 1)])
                )
                shown.update(text, refresh=True)
                if not going_on.working and all(one.state in ("done", "failed") for one in found):
                    return found
                sleep(seconds)
        except KeyboardInterrupt:
            return found


def summary(found: Sequence[RunStatus], going_on: Outlook, jobs: Sequence[str] = ()) -> list[str]:
    """How many runs are in each state, then who trains what, the time that is left, jobs, and why runs failed."""
    states = Counter(one.state for one in found)
    trained, wanted = sum(one.trainings_done for one in found), sum(one.trainings_wanted for one in found)
    counts = ", ".join(f"{states[state]:,} {state}" for state in _STATES if states[state])
    share = f"{trained:,} of {counted(wanted, 'training')}"
    failed = [f"{one.run}: failed: {one.why}" for one in found if one.state == "failed"]
    return [f"{counted(len(found), 'run')}: {counts}; {share}", *lines_of(going_on), *jobs, *failed]


class _Jobs:
    """What Slurm says of a campaign's jobs, which it is asked only so often."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._said: tuple[float, list[str]] | None = None

    def lines(self, found: Sequence[RunStatus]) -> list[str]:
        """As those of `tickets status`; why there are none, if Slurm cannot be asked."""
        now = self._clock()
        if self._said is None or now - self._said[0] >= ASKED_EVERY_S:
            try:
                self._said = now, job_lines(self._folder, found)
            except InputError as error:
                self._said = now, [f"jobs: {error}"]
        return self._said[1]


class _Lines:
    """In place of a live display, for files and pipes: a timestamped line each time that something has changed."""

    def __init__(self) -> None:
        self._before = ""

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self, text: str, refresh: bool) -> None:
        first = text.splitlines()[0]
        if first != self._before:
            print_line(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {first}")
            sys.stdout.flush()
        self._before = first


def _working(one: AtWork) -> str:
    progress, parts = one.holder.progress, [f"{one.run}/cohort-{one.cohort:03d}: {one.holder}"]
    if progress is not None:
        began = datetime.fromtimestamp(progress.since).astimezone()
        parts.append(f"since {began.isoformat(sep=' ', timespec='seconds')}")
        parts.append(f"round {progress.round}")
        if progress.total:
            parts.append(f"{min(1.0, progress.done / progress.total):.0%} of its steps")
    if one.silent > _SILENT_S:
        parts.append(f"silent for {spoken(one.silent)}")
    return ", ".join(parts)
