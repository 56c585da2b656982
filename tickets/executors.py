"""The engine that trains by an executor of `concurrent.futures`: a pool of processes, Dask's, executorlib's, ..."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import queue
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from typing import Any

from tickets.engines import Engine
from tickets.errors import ExecutorError, InputError
from tickets.executor_process import LOOK_S, Order, Report, forget, this_process, train_for
from tickets.following import Following
from tickets.listener import Listener, Note
from tickets.piece import Work
from tickets.store.durable import write_new
from tickets.store.temporary import STOP, temporary
from tickets.termination import terminable
from tickets.users_code import one_line

IN_FLIGHT = 1000  # pieces of work that an executor has at once, at most
GRACE_S = 30.0  # for pieces in training to stop, after which they are left to themselves

_KEPT = "committed rounds are kept"
_GO_ON = f"{_KEPT}; the same call with a new executor goes on"
_GUARD = 'a script that starts processes does so below `if __name__ == "__main__":`'
_FORM = "must be an executor of concurrent.futures, such as a ProcessPoolExecutor or Dask's client.get_executor()"

# By (package, class): that an executor is gone, as other packages than concurrent.futures say it.
_GONE = {
    ("distributed", "ClosedClientError"),
    ("distributed", "CommClosedError"),
    ("distributed", "FutureCancelledError"),
    ("distributed", "FuturesCancelledError"),
    ("executorlib", "ExecutorlibSocketError"),
}


def on_executor(executor: Executor, in_flight: int = IN_FLIGHT) -> Engine:
    """The engine that trains in the processes of an executor, one piece of work in each.

    A process needs this package and sees the campaign's folder, the data and the user's modules at the same paths. It
    has a lease of the cohort that it trains, so that an executor may run a piece twice, or again elsewhere.

    The listener gets each `RoundDone` soon after the round is committed, as the campaign's folder shows it; `Steps` and
    notes of a cohort at the end of it. Several pieces that are run at once in one process, in threads, train one after
    another: the settings of PyTorch belong to the process. A note says so.

    However the engine ends before all is trained (an error, Ctrl-C, SIGTERM), work that has not begun is cancelled, and
    what is in training saves its round and stops, wherever it is: every second, each process looks for a file in the
    campaign's folder, which a network file system may show late. The engine waits for them for half a minute at most.

    Parameters
    ----------
    executor
        The executor; the caller shuts it down.
    in_flight
        The number of pieces that it is given at once, at most. How many run at once is its own affair. An executor
        that makes a job of each piece may need fewer, one with more processes than this needs more.

    Returns
    -------
    Engine
        Raises ExecutorError if the executor breaks, and InputError as soon as a process meets what would stop every run
        (a full disk).

    Raises
    ------
    InputError
        If this is no executor.
    """
    _check(executor)
    if not isinstance(in_flight, int) or in_flight < 1:
        raise InputError(f"in_flight = {in_flight!r}: must be a whole number from 1")

    def engine(works: Sequence[Work], listener: Listener) -> Iterator[tuple[Work, str | None]]:
        waiting, flight = deque(works), _Flight(executor, listener)
        with terminable():
            try:
                while waiting or flight.works:
                    while waiting and len(flight.works) < in_flight:
                        flight.begin(waiting.popleft())
                    yield from flight.landed()
            finally:
                flight.end()

    engine.__module__, engine.__qualname__ = type(executor).__module__, type(executor).__qualname__
    return engine


def engine_for(executor: Executor | None, engine: Engine | None, workers: int) -> tuple[Engine | None, int]:
    """What trains, of the arguments of `tickets.run`: (the engine, how many pieces it trains at once on this machine).

    Raises
    ------
    InputError
        If an executor is given beside one of the others.
    """
    if executor is None:
        return engine, workers
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise InputError(
            f"executor: this process begins by importing the script, which trains as it is imported; {_GUARD}"
        )
    if engine is not None:
        raise InputError("executor and engine: give one of them; tickets.executors.on_executor makes an engine")
    if workers != 1:
        raise InputError(f"executor and workers = {workers}: the executor has processes of its own; leave workers out")
    return on_executor(executor), _processes_here(executor)


class _Flight:
    """The pieces of work that an executor has.

    Attributes
    ----------
    works
        Those that have not landed, by future.
    """

    def __init__(self, executor: Executor, listener: Listener) -> None:
        self._executor, self._listener = executor, Following(listener, LOOK_S)
        self._who = f"executor {type(executor).__module__}.{type(executor).__qualname__}"
        self._order: Order | None = None
        self._numbers = itertools.count()
        self._done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self.works: dict[Future[Any], Work] = {}

    def begin(self, work: Work) -> None:
        """Give a piece of work to the executor."""
        self._listener.begin(work)
        stop = temporary(work.folder.parent / STOP) if self._order is None else self._order.stop
        self._order = Order(stop, next(self._numbers), this_process())
        try:
            future = self._executor.submit(train_for, work, self._order)
        except Exception as error:
            raise ExecutorError(f"{self._who} takes no work: {_said(error)}; {_GO_ON}") from error
        if not isinstance(future, Future):
            raise InputError(f"{self._who}: its submit returned {_short(future)}; {_FORM}")
        self.works[future] = work
        future.add_done_callback(self._done.put)

    def landed(self) -> Iterator[tuple[Work, str | None]]:
        """The pieces of work that have ended, each with why it failed or None; after a while also none."""
        self._listener.look(self.works.values())
        try:
            future = self._done.get(timeout=LOOK_S)
        except queue.Empty:
            return
        if (work := self.works.pop(future, None)) is not None:
            why = self._ending(future)
            self._listener.forget(work)
            yield work, why

    def end(self) -> None:
        """Stop the work that has not landed."""
        if self._order is None:
            return
        try:
            if self.works:
                with suppress(OSError):  # where nothing can be written, training ends by itself
                    write_new(self._order.stop, b"")
                for future in self.works:
                    with suppress(Exception):
                        future.cancel()
                # Not those that are cancelled: `wait` waits until their executor has looked at them.
                wait([future for future in self.works if not future.done()], GRACE_S)
        finally:
            forget(self._order.stop)

    def _ending(self, future: Future[Any]) -> str | None:
        """Why the work of a future that is done failed, or None."""
        try:
            error = CancelledError() if future.cancelled() else future.exception(timeout=0)
            report = None if error is not None else future.result(timeout=0)
        except BaseException as raised:  # a future of another kind
            if isinstance(raised, KeyboardInterrupt):
                raise
            error, report = raised, None
        if error is not None:
            if _is_gone(error):
                raise ExecutorError(f"{self._who} has broken: {_said(error)}; {_GO_ON}") from error
            return f"{self._who}: {_said(error)}; {_KEPT}; the same call tries it again"
        if not isinstance(report, Report):
            return f"{self._who}: its future has the result {_short(report)}, not that of the function it was given"
        for event in report.events:
            self._listener(event)
        if report.error is not None:
            raise report.error
        if report.shared:
            self._listener(
                Note(
                    f"{self._who}: has given one process several pieces of work at once, which it trains one after "
                    "another; processes of one thread each (with Dask: threads_per_worker=1) train at once"
                )
            )
        return f"{self._who}: was stopped in its training" if report.stopped else report.why


def _check(executor: Any) -> None:
    if isinstance(executor, type):
        raise InputError(f"executor = {executor.__name__}: is a class; {_FORM}")
    if hasattr(executor, "get_executor"):
        raise InputError(f"executor = {_short(executor)}: give what its get_executor() returns")
    if not callable(getattr(executor, "submit", None)):
        raise InputError(f"executor = {_short(executor)}: has no method submit; {_FORM}")


def _processes_here(executor: Executor) -> int:
    """How many processes of this machine an executor has, as far as is known; else 1."""
    local = isinstance(executor, ProcessPoolExecutor) or type(executor).__module__.partition(".")[0] == "loky"
    count = getattr(executor, "_max_workers", 1) if local else 1
    return count if isinstance(count, int) and count > 0 else 1


def _is_gone(error: BaseException) -> bool:
    """Whether an error says that the executor, and not this piece of work, has come to an end."""
    if isinstance(error, BrokenExecutor | CancelledError | asyncio.CancelledError):
        return True
    return any((kind.__module__.partition(".")[0], kind.__name__) in _GONE for kind in type(error).__mro__)


def _said(error: BaseException) -> str:
    text = one_line(error).removesuffix(": ")  # of an error without a text
    if isinstance(error, BrokenExecutor):
        return f"{text} ({_GUARD})"
    return text


def _short(value: object) -> str:
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."
