"""Requests to end: SIGTERM and what else a scheduler sends, or the end of the time it gives, as an interrupt."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

STATUS = 128 + signal.SIGTERM  # the exit status of a command that ends by it, as shells have it

# What schedulers send some time before they end a process: Slurm and PBS can send either, LSF sends SIGUSR2.
NOTICES = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGUSR2") if hasattr(signal, name))

_AHEAD_S = 60.0  # before the end of the time that a scheduler gives, and no more than a tenth of that


class Terminated(KeyboardInterrupt):
    """This process was asked to end, by a signal or because its time is nearly over."""


@contextmanager
def terminable(even_if_ignored: bool = False, signals: Sequence[signal.Signals] = (signal.SIGTERM,)) -> Iterator[None]:
    """A block in which signals raise `Terminated` in the main thread, which otherwise would end the process at once.

    Only the first has an effect in the block: a scheduler may send one to the process and one to its group.

    Parameters
    ----------
    even_if_ignored
        Whether they do so too where this process was started with them ignored. A handler of the caller's stays in any
        case, and so does everything in a thread, which may set none.
    signals
        The signals.
    """
    replaced = (signal.SIG_DFL, signal.SIG_IGN) if even_if_ignored else (signal.SIG_DFL,)
    before = {one: signal.getsignal(one) for one in signals}
    mine = [one for one, handler in before.items() if handler in replaced]
    if threading.current_thread() is not threading.main_thread() or not mine:
        yield
        return

    def terminate(*_: object) -> None:
        for one in mine:
            signal.signal(one, signal.SIG_IGN)
        raise Terminated

    for one in mine:
        signal.signal(one, terminate)
    try:
        yield
    finally:
        for one in mine:
            signal.signal(one, before[one])


@contextmanager
def ended_after(minutes: float | None) -> Iterator[None]:
    """A block that is asked to end shortly before a time is over, as by SIGTERM. The block must be `terminable`.

    Parameters
    ----------
    minutes
        The time, from now; the block is asked a minute before, or a tenth of the time if that is less. None for no end.
    """
    if minutes is None:
        yield
        return
    seconds = 60 * minutes
    timer = threading.Timer(seconds - min(_AHEAD_S, seconds / 10), _ask)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _ask() -> None:
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main, signal.SIGTERM)  # which also ends a wait of that thread
    else:
        _thread.interrupt_main(signal.SIGTERM)
