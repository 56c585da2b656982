"""The rounds that other processes commit, told to a listener soon after each commit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress

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
        self._seen: set[tuple[str, str]] = set()  # run, folder
        self._told: set[tuple[str, str]] = set()

    def __call__(self, event: Event) -> None:
        """Pass an event on, unless it is of a round that was told before."""
        if isinstance(event, RoundDone):
            if (event.run, event.folder) in self._told:
                return
            self._told.add((event.run, event.folder))
        self._listener(event)

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
                    key = work.run_id, f"{folder.parent.name}/{folder.name}"
                    if folder.name in names and key not in self._seen:
                        self._seen.add(key)
                        self._tell(work, key)
        now = time.monotonic()
        self._next = now + max(self._seconds, _SHARE * (now - began))

    def _tell(self, work: Work, key: tuple[str, str]) -> None:
        folder = work.folder / key[1]
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
