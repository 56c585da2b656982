"""Listeners that change what another one receives."""

from __future__ import annotations

import threading

from tickets.listener import Begun, Gathered, Note, Steps, without_repeats


def test_steps_are_summed_and_keep_their_place_among_the_other_events(monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    received: list[object] = []
    listener = Gathered(received.append)
    listener(Steps(3))
    listener(Steps(4))
    assert received == []
    now[0] = 0.6
    listener(Steps(5))
    assert received == [Steps(12)]
    listener(Steps(1))
    listener(Note("a"))
    listener(Begun(1, 2, 3))
    listener(Steps(2))
    listener.flush()
    listener.flush()
    assert received == [Steps(12), Steps(1), Note("a"), Begun(1, 2, 3), Steps(2)]


def test_no_step_of_several_threads_is_lost() -> None:
    received: list[object] = []
    listener = Gathered(received.append)

    def count() -> None:
        for _ in range(1000):
            listener(Steps(1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    listener.flush()
    assert sum(event.count for event in received if isinstance(event, Steps)) == 4000


def test_a_note_is_passed_on_once_and_other_events_each_time() -> None:
    received: list[object] = []
    listener = without_repeats(received.append)
    for event in (Note("a"), Steps(1), Note("b"), Steps(1), Note("a")):
        listener(event)
    assert received == [Note("a"), Steps(1), Note("b"), Steps(1)]
