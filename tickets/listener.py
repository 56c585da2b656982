"""The events of a campaign while it trains, and the functions that receive them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

SECONDS_BETWEEN = 0.5  # the least time between two `Steps` events of `Gathered`


@dataclass(frozen=True)
class Begun:
    """Training is about to begin.

    Parameters
    ----------
    runs
        The number of runs in the campaign.
    steps
        The training steps to take, summed over all networks.
    rounds_done
        The rounds that need no training, over all runs.
    """

    runs: int
    steps: int
    rounds_done: int


@dataclass(frozen=True)
class Steps:
    """Training steps were taken.

    Parameters
    ----------
    count
        The number of steps since the last such event, summed over the networks that took them. Negative where a try
        has failed: that many are taken again.
    """

    count: int


@dataclass(frozen=True)
class RoundDone:
    """A round is committed to disk.

    Parameters
    ----------
    run
        The run's id.
    folder
        The committed folder, relative to the run's folder: "cohort-000/round-003".
    density
        The mean density of the ticket's masks over the replicates, in [0, 1].
    accuracy
        By arm, the mean test accuracy (or R2) at early stop, or where the task has neither, the mean test loss at the
        last step; NaN if every training of the arm diverged.
    diverged
        The number of trainings that diverged.
    seconds
        The training time, summed over the networks.
    measured
        What `accuracy` contains: "accuracy", "R2" or "loss".
    """

    run: str
    folder: str
    density: float
    accuracy: Mapping[str, float]
    diverged: int
    seconds: float
    measured: Literal["accuracy", "R2", "loss"] = "accuracy"


@dataclass(frozen=True)
class Note:
    """A message for the user.

    Parameters
    ----------
    text
        One line.
    """

    text: str


Event = Begun | Steps | RoundDone | Note

Listener = Callable[[Event], None]
"""A function that is called with each event. `Steps` may arrive from several threads at once."""


class Gathered:
    """A listener that passes events on to another one, and sums `Steps` events to at most two a second.

    For listeners that are expensive to call, such as one in another process. Call `flush` after the last event.

    Parameters
    ----------
    listener
        Receives the events, one at a time.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener, self._steps, self._sent = listener, 0, time.monotonic()
        self._lock = threading.RLock()  # several lanes count their steps at once

    def __call__(self, event: Event) -> None:
        """Pass an event on, or add its steps to those of the next `Steps` event."""
        with self._lock:
            if not isinstance(event, Steps):
                self.flush()
                self._listener(event)
                return
            self._steps += event.count
            if time.monotonic() - self._sent > SECONDS_BETWEEN:
                self.flush()

    def flush(self) -> None:
        """Pass on the steps that were counted since the last `Steps` event."""
        with self._lock:
            if self._steps:
                self._listener(Steps(self._steps))
            self._steps, self._sent = 0, time.monotonic()


class Uncommitted:
    """A listener that passes events on, and knows how many steps were taken since the last round was committed.

    Parameters
    ----------
    listener
        Receives the events.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener, self._steps, self._lock = listener, 0, threading.Lock()

    def __call__(self, event: Event) -> None:
        """Pass an event on."""
        with self._lock:
            if isinstance(event, Steps):
                self._steps += event.count
            elif isinstance(event, RoundDone):
                self._steps = 0
        self._listener(event)

    def take_back(self) -> None:
        """Tell the listener that the steps since the last round are taken again."""
        if self._steps:
            self(Steps(-self._steps))


def without_repeats(listener: Listener) -> Listener:
    """A listener that passes every event on, but each distinct `Note` only once.

    Parameters
    ----------
    listener
        Receives the events.

    Returns
    -------
    Listener
        A function that remembers the notes it has passed on.
    """
    passed_on: set[str] = set()

    def pass_on(event: Event) -> None:
        if isinstance(event, Note):
            if event.text in passed_on:
                return
            passed_on.add(event.text)
        listener(event)

    return pass_on
