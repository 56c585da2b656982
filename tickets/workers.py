"""Several processes that share out a campaign's work: whole cohorts, each done by one process alone."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from typing import Any

from tickets.campaign import Trainer, Work
from tickets.errors import InputError
from tickets.report import Report, RoundDone

TICK_EVERY = 0.5  # seconds


def share_out(works: Sequence[Work], workers: int, report: Report) -> list[tuple[str, str | None]]:
    """Do the work in `workers` processes; (run id, why it failed or None) of each piece.

    Work that a process died over counts as failed; the other processes go on. Raises InputError at once if a
    process meets what stops every run (a full disk).
    """
    # Spawned, not forked: a fork of a process whose libraries have started threads can hang.
    context = multiprocessing.get_context("spawn")
    pending: Any = context.Queue()
    events: Any = context.Queue()
    for index in range(len(works)):
        pending.put(index)
    processes = [
        context.Process(target=_work, args=(list(works), pending, events), daemon=True)
        for _ in range(min(workers, len(works)))
    ]
    for process in processes:
        process.start()
    try:
        return _listen(works, processes, events, report)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _listen(
    works: Sequence[Work], processes: Sequence[BaseProcess], events: Any, report: Report
) -> list[tuple[str, str | None]]:
    """Pass on what the processes say, until all work has ended one way or the other."""
    reasons: dict[int, str | None] = {}
    taken: dict[int, int] = {}  # process id: the work that it has in hand
    while len(reasons) < len(works):
        try:
            kind, process_id, content = events.get(timeout=1.0)
        except queue.Empty:
            for process in processes:
                if not process.is_alive() and process.pid in taken:
                    reasons[taken.pop(process.pid)] = f"its process ended with exit code {process.exitcode}"
            if not any(process.is_alive() for process in processes):
                break
            continue
        if kind == "tick":
            report.tick(content)
        elif kind == "round":
            report.round_done(content)
        elif kind == "taken":
            taken[process_id] = content
        elif kind == "ended":
            reasons[taken.pop(process_id)] = content
        else:
            raise InputError(content)
    return [
        (work.cohort.run_id, reasons.get(index, "its process died before it began")) for index, work in enumerate(works)
    ]


def _work(works: Sequence[Work], pending: Any, events: Any) -> None:
    """A process: takes one piece of work after the other until none is left."""
    # Ctrl-C reaches every process of the terminal; the one that was started by hand ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told = _Told(events)
    trainer = Trainer(told)
    while True:
        try:
            index = pending.get(timeout=1.0)
        except queue.Empty:
            return
        told.tell("taken", index)
        try:
            reason = trainer.train(works[index])
        except InputError as error:
            told.tell("stop", error.problems)
            return
        told.flush()
        told.tell("ended", reason)


class _Told(Report):
    """A report that goes to the process that was started by hand; steps are counted up before they are sent."""

    def __init__(self, events: Any) -> None:
        self._events, self._steps, self._sent = events, 0, time.monotonic()

    def tell(self, kind: str, content: Any) -> None:
        """Send one event."""
        self._events.put((kind, multiprocessing.current_process().pid, content))

    def begin(self, runs: int, work: int, done: int) -> None:
        """Said by the process that was started by hand."""

    def tick(self, steps: int) -> None:
        """Count the steps; send them now and then."""
        self._steps += steps
        if time.monotonic() - self._sent > TICK_EVERY:
            self.flush()

    def flush(self) -> None:
        """Send the steps that were counted."""
        self.tell("tick", self._steps)
        self._steps, self._sent = 0, time.monotonic()

    def round_done(self, done: RoundDone) -> None:
        """Send it on."""
        self.flush()
        self.tell("round", done)

    def say(self, text: str) -> None:
        """Said by the process that was started by hand."""
