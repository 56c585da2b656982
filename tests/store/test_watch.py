"""When the lease of another process has expired, by the clock of the process that watches it."""

from __future__ import annotations

import os

import pytest
from lease_files import Clock, write_lease

from tickets.errors import InputError
from tickets.store import HeldError, Watch, take
from tickets.store.watch import lease_seconds


def test_it_expires_after_its_whole_time_without_a_change_by_the_clock_of_who_watches(tmp_path):
    clock = Clock()
    watch = Watch(clock)
    assert watch.look(tmp_path) == ("free", None)
    write_lease(tmp_path, beat=0)
    for beat in range(3):
        write_lease(tmp_path, beat=beat)
        for _ in range(10):  # 10 looks, 10 s apart: 90 s without a change
            assert watch.look(tmp_path)[0] == "held"
            clock.now += 10
    assert watch.look(tmp_path)[0] == "expired"
    write_lease(tmp_path, beat=3)  # it was alive after all
    assert watch.look(tmp_path)[0] == "held"


def test_the_time_on_the_clocks_of_two_machines_decides_nothing(tmp_path):
    path = write_lease(tmp_path)
    for seconds in (0, 4e9):  # of 1970, and of 2096
        os.utime(path, (seconds, seconds))
        assert Watch().look(tmp_path)[0] == "held"
        with pytest.raises(HeldError):
            take(tmp_path)


def test_who_was_stopped_while_it_watched_has_not_watched(tmp_path):
    # A virtual machine is suspended with both of them: the owner has had no time to renew its lease.
    clock = Clock()
    watch = Watch(clock)
    write_lease(tmp_path)
    assert watch.look(tmp_path)[0] == "held"
    clock.now += 1e6
    assert watch.look(tmp_path)[0] == "held"


def test_a_lease_says_how_long_it_lasts(tmp_path, monkeypatch):
    monkeypatch.setenv("TICKETS_LEASE_SECONDS", "1")
    write_lease(tmp_path, seconds=1000)
    clock = Clock()
    watch = Watch(clock)
    for _ in range(100):
        assert watch.look(tmp_path)[0] == "held"
        clock.now += 9


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e9", "five", "0x10"])
def test_another_time_must_be_a_number_of_seconds(monkeypatch, text):
    monkeypatch.setenv("TICKETS_LEASE_SECONDS", text)
    with pytest.raises(InputError, match=rf"TICKETS_LEASE_SECONDS = '{text}': must be a number of seconds from 0.5"):
        lease_seconds()
