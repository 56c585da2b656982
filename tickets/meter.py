"""How far a process is with a cohort, as its lease says it to others."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from tickets.cohort import steps_missing
from tickets.listener import Event, Listener, RoundDone
from tickets.roles import ArmStart
from tickets.store import CohortPlan, Lease, Progress


class Meter:
    """Counts the training steps of a cohort, and leaves the count in the lease of the cohort.

    Parameters
    ----------
    lease
        The lease.
    cohort
        What is to be trained.
    starts
        Where each arm's trainings start, by label.
    """

    def __init__(self, lease: Lease, cohort: CohortPlan, starts: Mapping[str, ArmStart]) -> None:
        self._lease, self._rounds = lease, [plan.number for plan in cohort.rounds]
        self._since, self._total = time.time(), steps_missing(cohort, starts)
        self._done = self._committed = 0
        self._lock = threading.Lock()  # several lanes count their steps at once
        self.add(0)

    def add(self, count: int) -> None:
        """Add the steps that were taken, summed over the networks that took them; negative if they are taken again."""
        with self._lock:
            self._done += count
            number = self._rounds[min(self._committed, len(self._rounds) - 1)]
            self._lease.progress = Progress(self._since, number, max(0, self._done), self._total)

    def of(self, listener: Listener) -> Listener:
        """A listener that passes events on, and knows by them which round is trained."""

        def listen(event: Event) -> None:
            if isinstance(event, RoundDone):
                self._committed += 1
                self.add(0)
            listener(event)

        return listen
