"""Who holds a lease, by its file: processes of this machine that have ended, and files of another form."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from lease_files import expire, names, write_lease

from tickets.errors import DiskError
from tickets.store import HeldError, take, taken
from tickets.store.holder import encode, holder_of, lease_file
from tickets.store.processes import UNKNOWN, here, started_at


@pytest.mark.skipif(here()[1] is None, reason="needs /proc")
def test_a_process_of_this_machine_that_has_ended_needs_no_waiting_for(tmp_path):
    host, boot, namespace = here()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    local = {"host": host, "boot": boot, "namespace": namespace, "process": ended.pid}
    deadline = time.monotonic() + 60
    while started_at(ended.pid) is not None:  # it stays a zombie until somebody waits for it
        assert time.monotonic() < deadline
        time.sleep(0.01)
    here_now = {**local, "process": os.getpid(), "started": started_at(os.getpid())}
    ended_ones = [local, {**here_now, "started": "1"}, {**local, "process": 2**31 - 2}]
    for number, one in enumerate(ended_ones):
        write_lease(tmp_path / str(number), **one)
        with taken(tmp_path / str(number)) as lease:
            assert lease.generation == 2
    alive = [here_now, {**local, "host": "node-7"}, {**local, "boot": "another"}, {**local, "namespace": "pid:[1]"}]
    for number, one in enumerate(alive):
        write_lease(tmp_path / f"alive-{number}", **one)
        with pytest.raises(HeldError):
            take(tmp_path / f"alive-{number}")
    ended.wait()


def make_folder(path):
    path.mkdir()
    (path / "mine").touch()


ODD = {
    "empty": lambda path: path.touch(),
    "garbage": lambda path: path.write_bytes(bytes(range(256))),
    "another form": lambda path: path.write_text("[1, 2]"),
    "deep": lambda path: path.write_text("[" * 1000),
    "odd values": lambda path: path.write_text(
        '{"process": 1e400, "seconds": NaN, "host": "\\u001b[2J", "owner": {}, "started": 7, "boot": null}'
    ),
    "huge": lambda path: path.write_bytes(bytes(3_000_000)),
    "FIFO": lambda path: os.mkfifo(path),
    "broken link": lambda path: path.symlink_to("nowhere"),
    "endless link": lambda path: path.symlink_to("/dev/zero"),
    "folder": make_folder,
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_lease_file_is_somebody_unknown_until_it_expires(tmp_path, kind):
    ODD[kind](tmp_path / ".lease-000003")
    with pytest.raises(HeldError, match=r"^an unknown process is at work in"):
        take(tmp_path)
    with taken(tmp_path, expired=expire(tmp_path, seconds=300)) as lease:
        assert lease.generation == 4
        lease.check()
    left = names(tmp_path)
    assert [name.rpartition("-")[0] for name in left] == (["set-aside-lease-000003"] if kind == "folder" else [])


def test_a_number_that_nothing_can_follow_is_said(tmp_path):
    write_lease(tmp_path, generation=10**12 - 1)
    write_lease(tmp_path, generation=10**12)  # has too many digits to be a lease file
    with pytest.raises(DiskError, match=r"\.lease-999999999999: no lease of this program; remove the file"):
        take(tmp_path, expired=expire(tmp_path))


def local(**changes):
    host, boot, namespace = here()
    return {"host": host, "boot": boot, "namespace": namespace, "process": os.getpid(), **changes}


@pytest.mark.skipif(here()[1] is None, reason="needs /proc")
@pytest.mark.parametrize("started", [None, UNKNOWN])
def test_a_process_that_could_not_say_when_it_started_is_not_taken_for_one_that_has_ended(tmp_path, started):
    write_lease(tmp_path, **local(started=started))
    holder = holder_of(tmp_path)
    assert (holder.has_ended, holder.is_at_work_here) == (False, False)


@pytest.mark.skipif(here()[1] is None, reason="needs /proc")
def test_a_process_that_cannot_be_looked_at_is_not_taken_for_one_that_has_ended(tmp_path, monkeypatch):
    """Too many files are open here, or /proc does not show other users' processes."""
    write_lease(tmp_path, **local(started=started_at(os.getpid())))

    def refused(path):
        raise OSError(24, "Too many open files", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", refused)
    assert started_at(os.getpid()) == UNKNOWN
    holder = holder_of(tmp_path)
    assert (holder.has_ended, holder.is_at_work_here) == (False, False)
    assert started_at(2**31 - 2) is None


def test_two_machines_of_one_name_that_nothing_tells_apart_are_two(tmp_path, monkeypatch):
    monkeypatch.setattr("tickets.store.holder.here", lambda: ("localhost", None, None))
    write_lease(tmp_path, host="localhost", boot=None, namespace=None, process=2**31 - 2)
    assert not holder_of(tmp_path).has_ended


def test_a_mixture_of_two_renewals_names_the_owner(tmp_path):
    path = lease_file(tmp_path, 1)
    before, after = (encode("f" * 32, 300.0, beat) for beat in (9, 10))
    assert before != after
    for place in range(len(before)):
        path.write_bytes(after[:place] + before[place:])
        assert holder_of(tmp_path).owner == "f" * 32


def test_a_lease_file_of_this_process_that_cannot_be_read_is_not_taken_for_a_rivals(tmp_path, monkeypatch):
    with taken(tmp_path) as lease:
        with monkeypatch.context() as patch:
            patch.setattr("os.open", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "Input/output error")))
            with pytest.raises(DiskError, match=r"\.lease-000001: the lease file of this process cannot be read") as no:
                lease.check()
            assert type(no.value) is DiskError
        lease.check()
    assert names(tmp_path) == []
