"""What threads ask of the thread that waits for them: nobody waits for ever, whatever is raised and wherever."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial

import pytest

from tickets.process_state import standard_state
from tickets.stack.calls import Calls

LONG = 60  # seconds; nothing here takes one


def apart(function):
    """What a function returns or raises in a thread of its own, which is not waited for if it hangs."""
    done: Future = Future()

    def run() -> None:
        try:
            done.set_result(function())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done


def test_the_waiting_thread_calls_what_all_others_ask_in_turn() -> None:
    calls, here, asked = Calls(), threading.get_ident(), 30

    def fails():
        raise KeyError("mine")

    def answer(number: int) -> int:
        assert threading.get_ident() == here
        return number

    def work(index: int) -> list[int]:
        with pytest.raises(KeyError, match="mine"):
            calls.ask(fails)
        return [calls.ask(partial(answer, index * number)) for number in range(asked)]

    with ThreadPoolExecutor(4) as pool:
        works = [pool.submit(work, index) for index in range(8)]  # more than threads
        calls.answer(works)
    calls.close()
    assert [done.result() for done in works] == [[index * number for number in range(asked)] for index in range(8)]
    with pytest.raises(CancelledError):
        calls.ask(int)


def interrupt():
    raise KeyboardInterrupt


class InterruptedQueue:
    """A queue whose reader is interrupted once it has taken what is in it."""

    def __init__(self, queue) -> None:
        self.put, self._queue = queue.put, queue

    def get(self):
        self._queue.get()
        raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["in the function", "with the function in hand", "before it waits"])
def test_an_interrupt_ends_the_waiting_of_all(where: str) -> None:
    calls, works = Calls(), []
    if where == "with the function in hand":
        calls._asked = InterruptedQueue(calls._asked)

    def wait() -> None:
        try:
            works.extend(apart(lambda: calls.ask(interrupt)) for _ in range(3))
            if where == "before it waits":
                interrupt()
            calls.answer(works)
        finally:
            calls.close()

    with pytest.raises(KeyboardInterrupt):
        apart(wait).result(LONG)
    for work in works:
        with pytest.raises(CancelledError):
            work.result(LONG)


def trained(bench, observe, **options):
    """A training of 6 networks in 5 shards by two lanes, as a round trains them: one thread of the process computes."""

    def run():
        with standard_state():
            start, recipe = bench.stack(bench.mlp, 6), bench.recipe(evaluate_every=5, steps=10)
            given = {"lanes": 2, "networks_at_once": 2, **options}
            return bench.train(bench.mlp, start, recipe, bench.examples(), "layered", observe=observe, **given)

    return apart(run)


def test_what_is_observed_alone_may_ask_for_the_state_that_one_thread_has(bench) -> None:
    seen = []

    def observe(shard: slice, step: int, values) -> None:
        with standard_state():
            seen.append((shard.start, step, threading.get_ident()))

    curves = trained(bench, observe, observe_alone=True).result(LONG).curves
    shards = sorted({start for start, _, _ in seen})
    assert len(shards) > 2
    assert sorted(seen)[:: len(curves.steps)] == [(start, 0, seen[0][2]) for start in shards], "all by one thread"
    assert sorted((start, step) for start, step, _ in seen) == [
        (start, step) for start in shards for step in (0, 5, 10)
    ]


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
@pytest.mark.parametrize("at", [0, 5])
def test_an_error_while_it_is_observed_ends_the_training(bench, error, at: int) -> None:
    def observe(shard: slice, step: int, values) -> None:
        if step == at and shard.start > 0:
            raise error("oops")

    with pytest.raises(error, match="oops"):
        trained(bench, observe, observe_alone=True).result(LONG)
    assert trained(bench, lambda *_: None, observe_alone=True).result(LONG), "nothing is held afterwards"
