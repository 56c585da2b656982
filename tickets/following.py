"""The rounds that other processes commit, told to a listener soon after each commit."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tickets.cohort import round_done
from tickets.listener import Event, Listener, RoundDone
from tickets.piece import Work
from tickets.store import Layout, read_manifest, read_round_table, read_run, round_folder, trusting_form

_SHARE = 20  # looking takes at most one part in so many of the time


class Following:
    """Looks for rounds in the folders of cohorts, and passes events on: each `RoundDone` once.

    Parameters
    ----------
    listener
        Receives the events.
    seconds
        Between two looks, at least.
    """

    def __init__(self, listener: Listener, seconds: float) -> None:
        self._listener, self._seconds = listener, seconds
        self._next = time.monotonic() + seconds
        # By cohort, the folders that were found and those that were told, relative to the run's folder.
        self._found: defaultdict[str, set[str]] = defaultdict(set)
        self._told: defaultdict[str, set[str]] = defaultdict(set)

    def __call__(self, event: Event) -> None:
        """Pass an event on, unless it is of a round that was told before."""
        if isinstance(event, RoundDone):
            told = self._told[f"{event.run}/{event.folder.partition('/')[0]}"]
            if event.folder in told:
                return
            told.add(event.folder)
        self._listener(event)

    def begin(self, work: Work) -> None:
        """Leave out the rounds of a piece of work that are there before it is given to anyone."""
        with suppress(OSError):
            self._found[work.name].update(os.listdir(work.cohort_folder))

    def look(self, works: Iterable[Work]) -> None:
        """Tell of the rounds of some works that were committed since the last look, unless that was a moment ago.

        A round that cannot be read is left to the report of the process that has trained it.
        """
        began = time.monotonic()
        if began < self._next:
            return
        for work in works:
            with suppress(OSError):
                names = set(os.listdir(work.cohort_folder))
                for plan in work.cohort.rounds:
                    folder = round_folder(work.cohort_folder, plan.number, plan.part)
                    if folder.name in names and folder.name not in self._found[work.name]:
                        self._found[work.name].add(folder.name)
                        self._tell(work, folder)
        now = time.monotonic()
        self._next = now + max(self._seconds, _SHARE * (now - began))

    def forget(self, work: Work) -> None:
        """Keep nothing of a piece of work any more, of which all has been told."""
        self._found.pop(work.name, None)
        self._told.pop(work.name, None)

    def _tell(self, work: Work, folder: Path) -> None:
        try:
            manifest, rounds = read_manifest(folder), read_round_table(folder)
            with trusting_form(folder / Layout.MANIFEST):
                done = round_done(
                    work.run,
                    work.run_id,
                    folder,
                    densities=list(manifest["density"].values()),
                    rounds=rounds,
                    measures=read_run(work.folder).get("accuracy", "accuracy"),
                )
        except (ValueError, OSError):
            return
        self(done)
