"""Several processes that share out a campaign's work: whole cohorts, each done by one process alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from tickets.errors import InputError
from tickets.listener import Listener, RoundDone
from tickets.store import Layout, append_event
from tickets.work import Trainer, Work

TICK_EVERY = 0.5  # seconds
NAME = "tickets-worker"  # of the processes here
UNGUARDED = 75  # the exit code of one that was to train as it imported the script that had started it


@dataclass
class _Worker:
    """A process, the pipe to it, and the work that it has in hand."""

    process: BaseProcess
    pipe: Connection
    work: int

    def give(self, index: int, work: Work) -> None:
        """Have it do this next. If it is dead, its pipe says so when it is read."""
        self.work = index
        with suppress(OSError):
            self.pipe.send(work)


Staff = Sequence[_Worker]
"""Processes that work for this one."""


@contextmanager
def hired(count: int) -> Iterator[Staff]:
    """So many processes, ready to work, that end with the block; none where one could do as well in this process.

    Raises InputError if this process may start none, or if one of them ends before it is ready. They are started
    before anything is written: each begins by importing the script that it is started from, which may go wrong.
    """
    staff: list[_Worker] = []
    if count > 1 and multiprocessing.current_process().daemon:
        raise InputError(
            f"workers = {count}: this is a worker of a multiprocessing.Pool, or another daemonic process, which may "
            "start no processes; give workers = 1 here, or use concurrent.futures.ProcessPoolExecutor around it"
        )
    try:
        if count > 1:
            with _interrupts_held_back():
                for _ in range(count):
                    staff.append(_start())
        for worker in staff:
            _wait_for(worker, count)
        yield staff
    finally:
        for worker in staff:
            worker.process.terminate()
        for worker in staff:
            worker.process.join()


def end_if_unguarded() -> None:
    """End this process if it is one of `hired` that is still importing the script that it was started from.

    The script then trains as it is imported. The process that started this one says so.
    """
    process = multiprocessing.current_process()
    if process.name.startswith(NAME) and getattr(process, "_inheriting", False):
        os._exit(UNGUARDED)


def share_out(works: Sequence[Work], staff: Staff, listener: Listener) -> list[tuple[str, str | None]]:
    """Do the work in the processes of `hired`; (run id, why it failed or None) of each piece.

    Work that a process died over counts as failed; the other processes go on. Raises InputError at once if a
    process meets what stops every run (a full disk).
    """
    pending = deque(range(len(works)))
    staff = staff[: len(works)]
    for worker in staff:
        worker.give(pending[0], works[pending.popleft()])
    reasons = _listen(works, pending, staff, listener)
    for index in pending:
        reasons[index] = _lost(works[index], "every process had died before it began")
    return [(work.cohort.run_id, reasons[index]) for index, work in enumerate(works)]


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C waits until the block is left; a process started in it never sees one.

    Ctrl-C reaches every process of the terminal. The one that was started by hand ends the others, which
    would else each print a traceback.
    """
    resource_tracker.ensure_running()  # as it starts, it lets the signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start() -> _Worker:
    # Spawned, not forked: a fork of a process whose libraries have started threads can hang. A pipe each,
    # not a queue for all: a process that is killed while it holds a queue's lock stops all the others.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, os.getcwd()), name=NAME, daemon=True)
    process.start()
    theirs.close()  # now the process has the only one, so its death ends the pipe
    return _Worker(process, ours, work=-1)


def _wait_for(worker: _Worker, count: int) -> None:
    """Until a process is ready."""
    try:
        worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        code = worker.process.exitcode
    else:
        return
    script = getattr(sys.modules["__main__"], "__file__", None) or "the script"
    why = (
        f"each process begins by importing {script}, and that trains as it is imported; "
        if code == UNGUARDED
        else f"{_ending(code)} before it was ready; if {script} trains as it is imported, "
    )
    guard = 'guard its call:\n\n    if __name__ == "__main__":\n        tickets.run(...)\n'
    raise InputError(f"workers = {count}: {why}{guard}")


def _listen(works: Sequence[Work], pending: deque[int], staff: Staff, listener: Listener) -> dict[int, str | None]:
    """Hand out the work and pass on what the processes say, until nobody has any left; the reasons by work."""
    reasons: dict[int, str | None] = {}
    busy: dict[Any, _Worker] = {worker.pipe: worker for worker in staff}
    while busy:
        for pipe in wait(list(busy)):
            worker = busy[pipe]
            try:
                kind, content = worker.pipe.recv()
            except (EOFError, OSError):
                worker.process.join()
                reasons[worker.work] = _lost(works[worker.work], _ending(worker.process.exitcode))
                del busy[pipe]
                continue
            if kind == "tick":
                listener.tick(content)
            elif kind == "round":
                listener.round_done(content)
            elif kind == "stop":
                raise InputError(content)
            else:
                reasons[worker.work] = content
                if pending:
                    worker.give(pending[0], works[pending.popleft()])
                else:
                    del busy[pipe]
    return reasons


def _lost(work: Work, why: str) -> str:
    """Log the failure of work whose process could not."""
    event = {"event": "failed", "cohort": work.cohort.cohort.index, "why": why}
    append_event(work.cohort.folder / Layout.LOG, event)
    return why


def _ending(code: int | None) -> str:
    if code is None or code >= 0:
        return f"its process ended with exit code {code}"
    name = signal.Signals(-code).name
    return f"its process was ended by {name}" + (" (is there enough memory?)" if name == "SIGKILL" else "")


def _work(pipe: Connection, folder: str) -> None:
    """A process: does one piece of work after the other, as it is told, until it is ended.

    folder: the working directory of the process that started it, which may have changed since that one began.
    """
    os.chdir(folder)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    told = _Told(pipe)
    trainer = Trainer(told)
    told.tell("ready", None)
    while True:
        work = pipe.recv()
        try:
            reason = trainer.train(work)
        except InputError as error:
            told.tell("stop", error.problems)
            return
        told.flush()
        told.tell("ended", reason)


def _end_with_parent() -> None:
    # Were the process that holds the campaign's lock killed, this one would go on writing without it.
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


class _Told(Listener):
    """A listener that goes to the process that was started by hand; steps are counted up before they are sent."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._steps, self._sent = pipe, 0, time.monotonic()
        self._alone = threading.RLock()  # steps are counted by several lanes at once

    def tell(self, kind: str, content: Any) -> None:
        """Send one event."""
        with self._alone:
            self._pipe.send((kind, content))

    def begin(self, runs: int, work: int, done: int) -> None:
        """Said by the process that was started by hand."""

    def tick(self, steps: int) -> None:
        """Count the steps; send them now and then."""
        with self._alone:
            self._steps += steps
            if time.monotonic() - self._sent > TICK_EVERY:
                self.flush()

    def flush(self) -> None:
        """Send the steps that were counted."""
        with self._alone:
            self.tell("tick", self._steps)
            self._steps, self._sent = 0, time.monotonic()

    def round_done(self, done: RoundDone) -> None:
        """Send it on."""
        self.flush()
        self.tell("round", done)

    def say(self, text: str) -> None:
        """Said by the process that was started by hand."""
