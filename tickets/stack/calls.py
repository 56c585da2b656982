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
        self._waiting: set[Future[Any]] = set()

    def ask(self, function: Callable[[], T]) -> T:
        """What a function returns, called by the waiting thread; the exception that it raises is raised here.

        Raises
        ------
        concurrent.futures.CancelledError
            If that thread waits no longer, since it was interrupted.
        """
        answer: Future[T] = Future()
        with self._lock:
            if self._open:
                self._waiting.add(answer)
                self._asked.put((answer, function))
            else:
                answer.cancel()
        try:
            return answer.result()
        finally:
            with self._lock:
                self._waiting.discard(answer)

    def answer(self, until: Sequence[Future[Any]]) -> None:
        """Call what is asked until all of these futures are done. An interrupt of this thread ends it before that."""
        for future in until:
            future.add_done_callback(lambda _: self._asked.put(None))
        left = len(until)
        while left:
            asked = self._asked.get()
            if asked is None:
                left -= 1
            else:
                _call(*asked)

    def close(self) -> None:
        """Cancel what was asked and has no answer; nothing can be asked any more.

        An interrupt may come between any two instructions of the waiting thread, also while it has a function in hand
        that is no longer in the queue: whoever asked is known, so that nobody waits for ever.
        """
        with self._lock:
            self._open = False
            for answer in self._waiting:
                answer.cancel()  # nothing, if it is answered


def _call(answer: Future[Any], function: Callable[[], Any]) -> None:
    """An interrupt in the function is this thread's own."""
    try:
        found = function()
    except Exception as error:
        answer.set_exception(error)
    else:
        answer.set_result(found)
