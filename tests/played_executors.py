"""Executors that stand in for real ones, and what happens to those while they train."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Executor, Future

from tickets.executor_process import train_for
from tickets.store import read_events


class Instant(Executor):
    """Calls the function at once, or what stands in for it."""

    def __init__(self, function=train_for):
        self.function, self.calls = function, []

    def submit(self, function, /, *arguments):
        assert function is train_for
        self.calls.append(arguments)
        future = Future()
        try:
            future.set_result(self.function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


class Never(Executor):
    """Runs nothing, and calls a function when it gets work."""

    def __init__(self, then=lambda: None):
        self.then, self.futures = then, []

    def submit(self, function, /, *arguments):
        self.futures.append(Future())
        self.then()
        return self.futures[-1]


def once_training(out, then):
    """A thread that calls a function with the number of the first process that trains."""

    def wait():
        started = []
        while not started:
            time.sleep(0.05)
            logged = (one for log in out.glob("*/log.jsonl") for one in read_events(log))
            started = [one["process"] for one in logged if one["event"] == "started"]
        then(started[0])

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread
