"""SIGTERM, by which schedulers and other processes ask one to end, as an interrupt like Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STATUS = 128 + signal.SIGTERM  # the exit status of a command that ends by it, as shells have it


class Terminated(KeyboardInterrupt):
    """This process was asked to end by SIGTERM."""


@contextmanager
def terminable(even_if_ignored: bool = False) -> Iterator[None]:
    """A block in which SIGTERM raises `Terminated` in the main thread, which otherwise would end the process at once.

    Further ones have no effect in the block: a scheduler may send one to the process and one to its group.

    Parameters
    ----------
    even_if_ignored
        Whether it does so too where this process was started with SIGTERM ignored. A handler of the caller's stays in
        any case, and so does everything in a thread, which may set none.
    """
    replaced = (signal.SIG_DFL, signal.SIG_IGN) if even_if_ignored else (signal.SIG_DFL,)
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or before not in replaced:
        yield
        return

    def terminate(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
