"""The engine that trains in several processes of this machine, each of which trains one cohort at a time."""

from __future__ import annotations

import functools
import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any

from tickets.engines import Engine
from tickets.errors import InputError
from tickets.listener import Listener
from tickets.piece import Work
from tickets.store import Layout, append_event
from tickets.tries import TRIES, next_try, say_again, short_of_memory, why_failed
from tickets.work import said
from tickets.worker_process import LOOK_S, NAME, UNGUARDED, Death, Worker, end, interrupts_blocked


@contextmanager
def process_pool(count: int) -> Iterator[Engine]:
    """An engine of several processes, which are running when the block begins and end with it.

    The processes start before anything is written: each begins by importing the script that started it, which may
    fail.

    Parameters
    ----------
    count
        The number of processes, at least 1.

    Yields
    ------
    Engine
        Trains each piece of work in one of the processes. A process that dies is replaced, and its work is tried again,
        at most twice. It raises InputError as soon as a process meets what would stop every run (a full disk).

    Raises
    ------
    InputError
        If this process may not start others, or if one of them ends before it is ready.
    """
    if multiprocessing.current_process().daemon:
        raise InputError(
            f"workers = {count}: this is a worker of a multiprocessing.Pool, or another daemonic process, which may "
            "start no processes; give workers = 1 here, or use concurrent.futures.ProcessPoolExecutor around it"
        )
    pool = _Pool(count)
    try:
        for _ in range(count):
            pool.start()
        for worker in pool.workers:
            _wait_until_ready(worker, count)
        yield functools.partial(_train_all, pool)
    finally:
        end(pool.workers)


def end_if_unguarded() -> None:
    """End this process if it is one of a `process_pool` that still imports the script that started it.

    The script then trains at import, without `if __name__ == "__main__":`. The process that started this one raises
    the error.
    """
    process = multiprocessing.current_process()
    if process.name.startswith(NAME) and getattr(process, "_inheriting", False):
        os._exit(UNGUARDED)


class _Pool:
    """Processes, and those that take the place of dead ones.

    Attributes
    ----------
    workers
        The processes that live, as far as is known.
    unready
        How processes ended before they were ready, since the last one that was. After a few of them no more are
        started.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.workers: list[Worker] = []
        self.unready: list[Death] = []

    def start(self) -> None:
        """Start one more process."""
        try:
            with interrupts_blocked():
                self.workers.append(Worker.start())
        except OSError as error:
            self.unready.append(Death(f"no process can be started ({error.strerror})", (), False, None))

    def idle(self) -> Worker | None:
        """A process without work, a new one if there may be one more; None if all are busy."""
        while True:
            found = next((worker for worker in self.workers if worker.work is None), None)
            if found is not None or len(self.workers) >= self._count or len(self.unready) >= TRIES:
                return found
            self.start()

    def buried(self, worker: Worker, death: Death) -> None:
        """Take a dead process from the others."""
        self.workers.remove(worker)
        if not worker.ready:
            self.unready.append(death)
        for other in self.workers if death.out_of_memory else ():
            other.kills = None if other.kills is None else other.kills + 1  # this kill was not theirs


def _train_all(pool: _Pool, works: Sequence[Work], listener: Listener) -> Iterator[tuple[Work, str | None]]:
    """Give the work to the processes and pass on their events, until all of it is done or no process can be started."""
    pending, given = deque(works), {work.name: work for work in works}
    while True:
        while pending and (idle := pool.idle()) is not None:
            work = pending.popleft()
            if (why := idle.give(work, listener)) is not None:
                yield given[work.name], why
        busy = [worker for worker in pool.workers if worker.work is not None]
        if not busy:
            break
        for worker in _with_news(busy):
            assert worker.work is not None
            work = given[worker.work.name]
            kind, content = worker.receive()
            if kind == "ready":
                worker.ready, pool.unready = True, []
            elif kind == "begun":
                worker.work, worker.networks = content
            elif kind == "event":
                worker.listener(content)
            elif kind == "stop":
                raise content
            elif kind == "ended":
                worker.work = None
                yield work, content
            else:
                pool.buried(worker, content)
                tried = _after_death(worker, content, listener)
                if isinstance(tried, str):
                    yield work, tried
                elif tried.cohort.rounds:
                    pending.appendleft(tried)
                else:  # it died after its last commit
                    yield work, None
    for work in pending:
        last = pool.unready[-1]
        why = why_failed(work, f"no process is left to train it: {last.why}")
        yield given[work.name], _failed(work, why, last)


def _with_news(workers: Sequence[Worker]) -> list[Worker]:
    """Those that have sent something or have died, as soon as there is one."""
    pipes: dict[Any, Worker] = {worker.pipe: worker for worker in workers}
    while True:
        if ready := wait(list(pipes), LOOK_S):
            return [pipes[pipe] for pipe in ready]
        if dead := [worker for worker in workers if worker.has_died]:
            return dead


def _after_death(worker: Worker, death: Death, listener: Listener) -> Work | str:
    """The work of a dead process for its next try, or why it failed for good."""
    work = worker.work
    assert work is not None
    if not worker.ready:
        return work  # it never began
    networks = worker.networks if death.out_of_memory else None
    try:
        again = next_try(work, death.why, networks)
    except InputError as error:  # what is saved of this run cannot be read; the other runs go on
        return _failed(work, f"{why_failed(work, death.why)}; {said(error)}", death)
    if again is None:
        why = why_failed(work, death.why)
        return _failed(work, why + (short_of_memory(worker.networks or 0) if death.out_of_memory else ""), death)
    say_again(again, death.why, listener, **_last_lines(death))
    worker.listener.take_back()
    return again


def _failed(work: Work, why: str, death: Death) -> str:
    """Write a failure to the run's log, with the last lines of the process."""
    event = {"event": "failed", "cohort": work.cohort.index, "why": why, **_last_lines(death)}
    with suppress(InputError):  # a log that cannot be written hides neither the reason nor the other runs
        append_event(work.folder / Layout.LOG, event)
    return why


def _last_lines(death: Death) -> dict[str, list[str]]:
    return {"last_lines": list(death.lines)} if death.lines else {}


def _wait_until_ready(worker: Worker, count: int) -> None:
    kind, death = worker.receive()
    if kind == "ready":
        worker.ready = True
        return
    script = getattr(sys.modules["__main__"], "__file__", None) or "the script"
    written = "".join(f"\n    {line}" for line in death.lines)
    if death.code == UNGUARDED:
        why = f"each process begins by importing {script}, and that trains as it is imported; "
    elif written:
        why = f"{death.why} before it was ready; its last lines:{written}\nIf {script} trains as it is imported, "
    else:
        why = f"{death.why} before it was ready; if {script} trains as it is imported, "
    guard = 'guard its call:\n\n    if __name__ == "__main__":\n        tickets.run(...)'
    raise InputError(f"workers = {count}: {why}{guard}".splitlines())  # a command prints each line as one
