from __future__ import annotations

import os
import signal
import sys

import pytest

from tickets.errors import InputError
from tickets.store import forked
from tickets.store.forked import in_processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems use one process")


@pytest.fixture(autouse=True)
def one_is_enough(monkeypatch):
    monkeypatch.setattr(forked, "FEWEST", 1)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_results_are_in_the_order_of_the_items(count, processes):
    assert in_processes(lambda number: number**2, range(count), processes) == [number**2 for number in range(count)]


def test_the_work_is_shared_out():
    found = in_processes(lambda _: os.getpid(), range(9), 3)
    assert len(set(found)) == 3
    assert found.count(os.getpid()) == 3


def test_few_items_need_no_process(monkeypatch):
    monkeypatch.setattr(forked, "FEWEST", 5)
    assert set(in_processes(lambda _: os.getpid(), range(9), 3)) == {os.getpid()}


def test_the_share_of_a_process_that_dies_is_done_here():
    here = os.getpid()

    def f(number):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    assert in_processes(f, range(9), 3) == list(range(9))


def test_an_error_is_raised_here():
    def f(number):
        if number == 4:
            raise InputError("four")
        return number

    with pytest.raises(InputError, match="four"):
        in_processes(f, range(9), 2)
    with pytest.raises(InputError, match="four"):
        in_processes(f, range(9), 3)


def test_large_results_do_not_block():
    found = in_processes(lambda number: bytes(10**6), range(8), 2)
    assert sum(map(len, found)) == 8 * 10**6


def test_without_processes_it_is_done_here(monkeypatch):
    def refuse():
        raise OSError("no more processes")

    monkeypatch.setattr(os, "fork", refuse)
    assert in_processes(lambda number: number, range(9), 3) == list(range(9))
