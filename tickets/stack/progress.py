"""How far the shards of a stack have been trained, for a checkpoint, and from where they go on after one."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from tickets.stack.trees import Tree, copied

WORTHWHILE_S = 5.0  # of training, that an interrupt saves


class Interval:
    """When the next checkpoint of a round is due.

    Parameters
    ----------
    seconds
        Between two of them, and before the first; infinity for none.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.restart()

    def is_over(self) -> bool:
        """Whether one is due."""
        return self._passed >= self._seconds

    def is_worthwhile(self) -> bool:
        """Whether one saves much if the training is interrupted now."""
        return self._seconds < math.inf and self._passed >= min(self._seconds, WORTHWHILE_S)

    def restart(self) -> None:
        """Begin again."""
        self._began = time.monotonic()

    @property
    def _passed(self) -> float:
        return time.monotonic() - self._began


class Keeper(Protocol):
    """What writes the progress of a training to disk, and says what a user should know of it."""

    def write(self, shards: Mapping[str, Tree], seconds: float) -> None:
        """Write the state or the result of each shard that has begun, by its name, and how long they were trained."""

    def refuse(self, why: str) -> None:
        """There will be no checkpoint of this training."""

    def reject(self, why: str) -> None:
        """A part of the checkpoint is not used."""


class Measured(Protocol):
    """What is measured of a shard while it trains, as far as later measurements need it."""

    def carried(self, shard: slice) -> Tree:
        """It, as a tree. Raises UnsaveableError if that cannot be."""

    def carry_on(self, shard: slice, tree: Tree) -> None:
        """Go on from it. Raises MisfitError, and changes nothing, if it is anything else."""


class Progress:
    """The progress of the shards of one training. Its methods are called by several threads.

    Shards are independent of each other, so that a checkpoint has each as it stood at some step of its own. When one is
    due, each shard that is in training stops at its next step and hands over its state; the last of them writes all.

    Parameters
    ----------
    interval
        When a checkpoint is due.
    keeper
        Writes it.
    measured
        What is measured of the shards; None if nothing is.
    found
        What a checkpoint had of the shards.
    seconds
        How long earlier processes trained them.
    """

    def __init__(
        self,
        interval: Interval,
        keeper: Keeper,
        measured: Measured | None = None,
        found: Mapping[str, Tree] | None = None,
        seconds: float = 0.0,
    ) -> None:
        self._interval, self._keeper, self._measured = interval, keeper, measured
        self._found, self._earlier = dict(found or {}), seconds
        self._began = time.perf_counter()
        self._lock = threading.Lock()
        self._training: set[str] = set()
        self._standing: dict[str, Tree] = {}
        self._done: dict[str, Tree] = {}
        self._refused = self._interrupted = False

    @property
    def seconds(self) -> float:
        """How long they have been trained, by this process and by earlier ones."""
        return self._earlier + time.perf_counter() - self._began

    def begin(self, shard: slice) -> Tree | None:
        """What a checkpoint had of a shard that begins to train now; None if nothing."""
        name = _name(shard)
        with self._lock:
            self._training.add(name)
            found = self._found.pop(name, None)
        # In memory of its own: where a tensor begins may decide the last bits of what is computed of it.
        return copied(found)

    def measure_on(self, shard: slice, tree: Tree) -> None:
        """Go on with the measurements of a shard; see Measured.carry_on."""
        if self._measured is not None:
            self._measured.carry_on(shard, tree)

    def is_due(self, shard: slice) -> bool:
        """Whether a shard is to hand over its state."""
        return self._interval.is_over() and not self._refused and _name(shard) not in self._standing

    def interrupt(self) -> None:
        """The training ends here: have each shard in training hand over its state once more, if that saves much."""
        self._interrupted = self._interval.is_worthwhile()
        if self.wants_last:
            # Else the last of them writes it. The interrupt is what the caller must see.
            with self._lock, suppress(Exception):
                if self._done and not self._training:
                    self._write_if_complete()

    @property
    def wants_last(self) -> bool:
        """Whether a shard that is to stop for good is to hand over its state."""
        return self._interrupted and not self._refused

    def take(self, shard: slice, networks: Tree, course: Tree) -> None:
        """Take the state of a shard in training."""
        measured = None if self._measured is None else self._measured.carried(shard)
        standing = copied({"networks": networks, "measured": measured, "course": course})
        with self._lock:
            self._standing[_name(shard)] = standing
            self._write_if_complete()

    def end(self, shard: slice, result: Tree) -> None:
        """Take the result of a shard, whose tensors do not change any more."""
        with self._lock:
            self._training.discard(_name(shard))
            self._standing.pop(_name(shard), None)
            self._done[_name(shard)] = {"result": result}
            if (self._interval.is_over() or self._interrupted) and not self._refused:
                self._write_if_complete()

    def refuse(self, why: str) -> None:
        """Ask for no state any more, since that of a shard cannot be saved."""
        with self._lock:
            if not self._refused:
                self._keeper.refuse(why)
            self._refused = True
            self._standing.clear()

    def reject(self, shard: slice, why: str) -> None:
        """Say that what a checkpoint had of a shard is not used."""
        self._keeper.reject(f"networks {shard.start} to {shard.stop - 1}: {why}")

    def _write_if_complete(self) -> None:
        if not self._training <= self._standing.keys():
            return
        try:
            self._keeper.write({**self._found, **self._done, **self._standing}, self.seconds)
        except TypeError as error:
            self._refused = True
            self._keeper.refuse(str(error))
        self._standing.clear()
        self._interval.restart()


class Until:
    """Tells a shard to stop: for good before any step, or after a step at least to hand over its state."""

    def __init__(self, stopped: threading.Event, progress: Progress, shard: slice) -> None:
        self._stopped, self._progress, self._shard = stopped, progress, shard
        self._asked = False

    def is_set(self) -> bool:
        """See threading.Event."""
        if self._stopped.is_set():
            return True
        asked, self._asked = self._asked, True
        return asked and self._progress.is_due(self._shard)


def _name(shard: slice) -> str:
    return f"{shard.start}-{shard.stop}"
