"""Calls that threads ask of the thread that waits for them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Calls:
    """A thread that waits for others, and meanwhile calls functions for them.

    What a function of the user's sets belongs partly to a thread and partly to the process, and `standard_state` lets
    one thread at a time compute. A thread that asks the one that has entered it need not enter it itself.
    """

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._open, self._lock = True, threading.Lock()

    def ask(self, function: Callable[[], T]) -> T:
        """What a function returns, called by the waiting thread; the exception that it raises is raised here.

        Raises
        ------
        concurrent.futures.CancelledError
            If that thread waits no longer, since it was interrupted.
        """
        answer: Future[T] = Future()
        with self._lock:
            if not self._open:
                answer.cancel()
            else:
                self._asked.put((answer, function))
        return answer.result()

    def answer(self, until: Sequence[Future[Any]]) -> None:
        """Call what is asked until all of these futures are done. Afterwards nothing can be asked any more."""
        for future in until:
            future.add_done_callback(lambda _: self._asked.put(None))
        left = len(until)
        try:
            while left:
                asked = self._asked.get()
                if asked is None:
                    left -= 1
                else:
                    _call(*asked)
        finally:
            self._close()

    def _close(self) -> None:
        with self._lock:
            self._open = False
            while not self._asked.empty():
                asked = self._asked.get()
                if asked is not None:
                    asked[0].cancel()


def _call(answer: Future[Any], function: Callable[[], Any]) -> None:
    try:
        answer.set_result(function())
    except BaseException as error:
        answer.set_exception(error)
        if not isinstance(error, Exception):
            raise  # an interrupt is this thread's own
