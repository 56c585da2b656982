"""One thread at a time has the standard state, and a forked process does not wait for it."""

from __future__ import annotations

import multiprocessing
import threading
import warnings

import pytest
import sympy  # noqa: F401 - torch imports it at its first use, and it adds a filter of warnings

from tickets.process_state import standard_state


def test_one_thread_at_a_time_and_the_same_one_again() -> None:
    inside = threading.Event()

    def other() -> None:
        with standard_state():
            inside.set()

    with standard_state():
        thread = threading.Thread(target=other)
        thread.start()
        with standard_state():
            assert not inside.wait(0.1)
    thread.join()
    assert inside.is_set()


def enter() -> None:
    with standard_state():
        pass


def test_a_process_that_is_forked_meanwhile_does_not_wait() -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork here")
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with standard_state():
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = multiprocessing.get_context("fork").Process(target=enter)
        child.start()
    child.join(30)
    ended = child.exitcode
    child.kill()
    done.set()
    thread.join()
    assert ended == 0
