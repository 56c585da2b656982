"""What runs in the processes of an executor: the function that trains a piece of work there, and what it returns."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tickets.code_hashes import named_functions, source_hashes
from tickets.errors import InputError
from tickets.listener import Event, Steps
from tickets.piece import Work
from tickets.store.processes import here
from tickets.termination import Terminated, terminable
from tickets.users_code import one_line
from tickets.work import Trainer

LOOK_S = 1.0  # between two looks whether training is to stop

FORKED = (
    "executor: its processes are forks of this one, in which PyTorch's threads can hang; give "
    'ProcessPoolExecutor(4, multiprocessing.get_context("spawn"))'
)

ProcessId = tuple[str, str | None, str | None, int]  # host, boot, namespace, number

_IMPORTED_BY = os.getpid()  # a process that was forked later has another number


@dataclass(frozen=True)
class Order:
    """What a process is told besides the work. Pickles.

    Parameters
    ----------
    stop
        A path in the campaign's folder. Once there is a file, training stops, and goes on in a later start.
    number
        No two orders of one `stop` have the same: Dask and executorlib return the result of an equal call once more.
    driver
        The process that waits for the report, as `this_process` gives it there.
    """

    stop: Path
    number: int
    driver: ProcessId

    @property
    def is_over(self) -> bool:
        """Whether training is to stop."""
        return os.path.lexists(self.stop)


@dataclass(frozen=True)
class Report:
    """What became of a piece of work. Pickles.

    Parameters
    ----------
    why
        Why it failed, or None; an `Elsewhere` if another process has it. See `tickets.work.train`.
    events
        What a listener is to hear; the steps between two other events are one event.
    error
        What stops every run: a full disk, ...
    stopped
        Whether it was stopped, as its order says.
    shared
        Whether another piece was given to the same process meanwhile, so that one of them waited.
    """

    why: str | None = None
    events: tuple[Event, ...] = ()
    error: InputError | None = None
    stopped: bool = False
    shared: bool = False


def train_for(work: Work, order: Order) -> Report:
    """Train a piece of work for another process, and commit its rounds to the campaign's folder.

    A process that is asked to end by SIGTERM first saves the round in training and lets the cohort go.

    Parameters
    ----------
    work
        What to train; see `tickets.work.train`.
    order
        Who asks, and when to stop.

    Returns
    -------
    Report
    """
    if os.getpid() != _IMPORTED_BY:
        return Report(error=InputError(FORKED))
    try:
        with terminable(), _counted() as shared:
            return replace(_trained(work, order), shared=shared)
    except Terminated:
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL and _is_main_thread():
            os.kill(os.getpid(), signal.SIGTERM)  # as it would have ended
        raise


def this_process() -> ProcessId:
    """Which process this is, among those of all machines."""
    return (*here(), os.getpid())


def forget(stop: Path) -> None:
    """Let go of the data set and the network that this process keeps for the next piece of work of an order."""
    with _kept.lock:
        if _kept.stop == stop:
            _kept.stop = _kept.trainer = None


class _Stopped(KeyboardInterrupt):
    """The order of the work is over."""


class _Heard:
    """A listener that keeps the events of a piece of work, and raises `_Stopped` once its order is over."""

    def __init__(self, order: Order) -> None:
        self._order, self._events, self._looked = order, list[Event](), time.monotonic()
        self._lock = threading.Lock()  # several lanes count their steps at once

    def __call__(self, event: Event) -> None:
        with self._lock:
            last = self._events[-1] if self._events else None
            if isinstance(event, Steps) and isinstance(last, Steps):
                self._events[-1] = Steps(last.count + event.count)
            else:
                self._events.append(event)
            due = time.monotonic() - self._looked > LOOK_S
            if due:
                self._looked = time.monotonic()
        if due and self._order.is_over:
            raise _Stopped

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(self._events)


class _Kept:
    """What this process keeps from one piece of work to the next: the trainer of the last order, with its data set.

    Pieces of another order get another trainer, since their data may lie elsewhere.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.stop: Path | None = None
        self.trainer: Trainer | None = None
        self._sources: dict[str, str] = {}  # by module of the user's: its file's hash as this process imported it
        self._known: set[str] = set()  # those of the order; a change while it is trained is left to the next one

    def trainer_for(self, work: Work, order: Order) -> Trainer:
        """The trainer of an order.

        Raises
        ------
        InputError
            If this process has imported a module of the user's that has changed since, before the order.
        """
        with self.lock:
            if self.stop != order.stop or self.trainer is None:
                self.stop, self.trainer, self._known = order.stop, Trainer(begins=self._begins), set()
            for name, sha256 in _sources(work).items():
                if name not in self._known and self._sources.get(name, sha256) != sha256:
                    raise InputError(
                        f"executor: process {os.getpid()} on {here()[0]} imported module {name!r} before its file was "
                        "changed; start new processes (with Dask: client.restart())"
                    )
                self._known.add(name)
            return self.trainer

    def _begins(self, work: Work, networks: int) -> None:
        """Remember the modules of a run that begins to train: they are imported now."""
        with self.lock:
            found = _sources(work)
            self._sources = found | self._sources
            self._known |= found.keys()


_kept = _Kept()
_at_once = 0
_counting = threading.Lock()


@contextmanager
def _counted() -> Iterator[bool]:
    """A block with whether another thread of this process is in the block already."""
    global _at_once
    with _counting:
        _at_once += 1
        shared = _at_once > 1
    try:
        yield shared
    finally:
        with _counting:
            _at_once -= 1


def _sources(work: Work) -> dict[str, str]:
    """The hashes of the files of the user's modules that a run is made of, as far as they are imported."""
    return source_hashes(named_functions(work.run.model_dump(mode="json")))


def _trained(work: Work, order: Order) -> Report:
    if order.is_over:
        return Report(stopped=True)
    heard = _Heard(order)
    try:
        why = _kept.trainer_for(work, order).train(work, heard)
    except _Stopped:
        return Report(events=heard.events, stopped=True)
    except InputError as error:
        return Report(events=heard.events, error=error)
    except Terminated:
        raise
    except (KeyboardInterrupt, BrokenPipeError) as error:
        if order.driver == this_process() and _is_main_thread():
            raise  # Ctrl-C
        why = one_line(error)
    return Report(why, heard.events)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
