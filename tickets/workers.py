"""The engine that trains in several processes of this machine, each of which trains one cohort at a time."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from tickets.engines import Engine
from tickets.errors import InputError
from tickets.listener import Event, Gathered, Listener
from tickets.work import Trainer, Work

NAME = "tickets-worker"  # of the processes here
UNGUARDED = 75  # the exit code of a process that was about to train while it imported the script that started it


@dataclass
class _Worker:
    """A process, the pipe to it, and the index of the work that it trains."""

    process: BaseProcess
    pipe: Connection
    work: int

    def give(self, index: int, work: Work) -> None:
        """Send it work. If the process is dead, the next read from its pipe fails."""
        self.work = index
        with suppress(OSError):
            self.pipe.send(work)


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
        Trains each piece of work in one of the processes. Work whose process dies has failed; the other processes go
        on. It raises InputError as soon as a process meets what would stop every run (a full disk).

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
    workers: list[_Worker] = []
    try:
        with _interrupts_blocked():
            for _ in range(count):
                workers.append(_start())
        for worker in workers:
            _wait_until_ready(worker, count)
        yield functools.partial(_train_all, workers)
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()


def end_if_unguarded() -> None:
    """End this process if it is one of a `process_pool` that still imports the script that started it.

    The script then trains at import, without `if __name__ == "__main__":`. The process that started this one raises
    the error.
    """
    process = multiprocessing.current_process()
    if process.name.startswith(NAME) and getattr(process, "_inheriting", False):
        os._exit(UNGUARDED)


def _train_all(
    workers: Sequence[_Worker], works: Sequence[Work], listener: Listener
) -> Iterator[tuple[Work, str | None]]:
    """Give the work to the processes and pass on their events, until all of it is done or no process is left."""
    pending = deque(range(len(works)))
    busy: dict[Any, _Worker] = {}
    for worker in workers[: len(works)]:
        worker.give(pending[0], works[pending.popleft()])
        busy[worker.pipe] = worker
    while busy:
        for pipe in wait(list(busy)):
            worker = busy[pipe]
            work = works[worker.work]
            try:
                kind, content = worker.pipe.recv()
            except (EOFError, OSError):
                worker.process.join()
                del busy[pipe]
                yield work, _exit_text(worker.process.exitcode)
                continue
            if kind == "event":
                listener(content)
            elif kind == "stop":
                raise content
            else:
                if pending:
                    worker.give(pending[0], works[pending.popleft()])
                else:
                    del busy[pipe]
                yield work, content
    for index in pending:
        yield works[index], "every process had died before this work began"


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A block in which SIGINT waits. The processes that start in it never receive the signal.

    Ctrl-C reaches every process of the terminal. The one that the user started ends the others, each of which would
    otherwise print a traceback.
    """
    resource_tracker.ensure_running()  # as it starts, it unblocks the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start() -> _Worker:
    # Spawned, not forked: a fork of a process whose libraries have started threads can hang. One pipe for each process,
    # not one queue for all: a process that is killed while it holds the lock of a queue stops all the others.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), name=NAME, daemon=True)
    process.start()
    theirs.close()  # the process then has the only one, so that its death closes the pipe
    return _Worker(process, ours, work=-1)


def _wait_until_ready(worker: _Worker, count: int) -> None:
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
        else f"{_exit_text(code)} before it was ready; if {script} trains as it is imported, "
    )
    guard = 'guard its call:\n\n    if __name__ == "__main__":\n        tickets.run(...)\n'
    raise InputError(f"workers = {count}: {why}{guard}")


def _exit_text(code: int | None) -> str:
    """How a process ended, for a message."""
    if code is None or code >= 0:
        return f"its process ended with exit code {code}"
    name = signal.Signals(-code).name
    return f"its process was ended by {name}" + (" (is there enough memory?)" if name == "SIGKILL" else "")


def _work(pipe: Connection) -> None:
    """The main function of a process: train each piece of work that the pipe brings, until the process is ended."""
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def send_event(event: Event) -> None:
        pipe.send(("event", event))

    listener, trainer = Gathered(send_event), Trainer()
    pipe.send(("ready", None))
    while True:
        work = pipe.recv()
        try:
            reason = trainer.train(work, listener)
        except InputError as error:
            pipe.send(("stop", error))
            return
        listener.flush()
        pipe.send(("ended", reason))


def _end_with_parent() -> None:
    # If the process that locked the campaign's folder is killed, this one must not go on writing to it.
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
