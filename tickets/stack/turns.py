"""Threads that train at the same time, of which one may ask to run alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock that threads share, and that one of them may have alone: it then waits until the others let go."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sharing = 0
        self._waiting = 0  # threads that want to run alone
        self._alone = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """A block that runs beside other shared blocks, and beside none that runs alone."""
        self._share()
        try:
            yield
        finally:
            self._let_go()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block within a shared one, which runs while no other thread is in a shared block.

        The others go on to the next block of this kind, or to the end of their shared block, before this one begins.
        """
        with self._changed:
            self._waiting += 1
        self._let_go()
        with self._changed:
            self._changed.wait_for(lambda: not self._sharing and not self._alone)
            self._waiting -= 1
            self._alone = True
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()
            self._share()

    def _share(self) -> None:
        with self._changed:
            # Whoever waits comes first; else threads that share by turns could keep it waiting for ever.
            self._changed.wait_for(lambda: not self._waiting and not self._alone)
            self._sharing += 1

    def _let_go(self) -> None:
        with self._changed:
            self._sharing -= 1
            self._changed.notify_all()
