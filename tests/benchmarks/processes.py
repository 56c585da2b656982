"""The tuned loop in as many single-threaded processes as there are cores, which start together."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier

import torch

from .clocks import WAIT_S, WARM_STEPS, LoopClock
from .loops import train_alone, tuned_loop
from .workloads import Ready, Workload, make_ready

CPU = torch.device("cpu")


class Processes:
    """So many processes, each with one thread; they wait for work and cost nothing while they do."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._barrier = context.Barrier(count, timeout=WAIT_S)  # a process that starts late must still find it
        self._pipes: list[Connection] = []
        self._processes: list[BaseProcess] = []
        for number in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(number, theirs, self._barrier), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __len__(self) -> int:
        return len(self._pipes)

    def seconds(self, workload: Workload, density: float, steps: int, evaluate_every: int | None = None) -> float:
        """Seconds a step and network: each process trains a network, and the last to end stops the clock."""
        for pipe in self._pipes:
            pipe.send((workload, density, steps, evaluate_every))
        spans: list[tuple[float, float]] = [pipe.recv() for pipe in self._pipes]
        wall = max(stop for _, stop in spans) - min(start for start, _ in spans)
        return wall / (steps * len(spans))

    def end(self) -> None:
        """Let the processes go."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join()


def _work(number: int, pipe: Connection, barrier: Barrier) -> None:
    """A process: trains its own network of whatever workload it is sent, until nobody sends any more."""
    torch.set_num_threads(1)
    ready: dict[tuple[str, float], Ready] = {}
    while True:
        try:
            workload, density, steps, evaluate_every = pipe.recv()
        except EOFError:
            return
        key = str(workload), density
        if key not in ready:
            ready.clear()  # one at a time in memory
            ready[key] = make_ready(workload, density, CPU, first=number, networks=1)
        clock = LoopClock(CPU, barrier.wait)
        train_alone(tuned_loop, ready[key], 0, WARM_STEPS + steps, clock, evaluate_every)
        pipe.send((clock.start, clock.stop))
