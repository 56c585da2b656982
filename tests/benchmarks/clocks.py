"""When a training's clock starts and stops: after the first steps, and before the last evaluation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch

WARM_STEPS = 3  # taken before the clock starts: the optimizer's state and every buffer are there after the first
WAIT_S = 120  # for the others at the start, after which something is wrong

T = TypeVar("T")


def now(device: torch.device) -> float:
    """Seconds, once the device has done what it was given; the same clock in every process of the machine."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class LoopClock:
    """The clock of a loop over batches. wait: called just before it starts."""

    def __init__(self, device: torch.device, wait: Callable[[], object] = lambda: None) -> None:
        self._device, self._wait = device, wait
        self.start = self.stop = 0.0

    def around(self, feed: Iterable[T]) -> Iterator[T]:
        """The same batches; starts the clock when the first after the warm steps is asked for, stops it at the end."""
        for step, batch in enumerate(feed):
            if step == WARM_STEPS:
                now(self._device)
                self._wait()
                self.start = now(self._device)
            yield batch
        self.stop = now(self._device)


class StackClock:
    """The clock of a stack, from the ticks of its lanes, whichever they are.

    It starts when the networks have taken their warm steps, on average, and the last tick stops it; a lane that
    ends before the others is waited for. networks: R. steps: that each takes, the warm ones included.
    """

    def __init__(self, device: torch.device, networks: int, steps: int) -> None:
        self._device, self._warm, self._all = device, networks * WARM_STEPS, networks * steps
        self._alone = threading.Lock()
        self._taken = self._before = 0  # steps of single networks
        self._start = self._stop = 0.0

    def tick(self, networks: int) -> None:
        """So many networks have taken a step."""
        with self._alone:
            self._taken += networks
            if self._taken >= self._warm and not self._before:
                self._start, self._before = now(self._device), self._taken
            elif self._taken == self._all:
                self._stop = now(self._device)

    @property
    def seconds(self) -> float:
        """Of a step and network."""
        return (self._stop - self._start) / (self._taken - self._before)
