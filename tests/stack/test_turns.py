"""One thread runs alone while the others wait."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tickets.stack.turns import Turns

THREADS, ROUNDS = 4, 20


def test_nothing_runs_beside_a_block_that_runs_alone() -> None:
    turns, lock = Turns(), threading.Lock()
    running = most = 0
    beside: list[int] = []

    def work() -> None:
        nonlocal running, most
        for _ in range(ROUNDS):
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.001)
            with lock:
                running -= 1
            with turns.alone():
                beside.append(running)
                time.sleep(0.0005)
                beside.append(running)

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(turns.shared()(work)) for _ in range(THREADS)]:
            done.result(timeout=60)
    assert beside == [0] * (2 * THREADS * ROUNDS)
    assert most > 1


def test_a_block_that_fails_lets_the_others_go_on() -> None:
    turns = Turns()
    with pytest.raises(KeyError), turns.shared(), turns.alone():
        raise KeyError("no good")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(turns.shared()(lambda: 1)).result(timeout=60) == 1
