"""A lease is taken, renewed, released and taken over; of many processes one has it."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from lease_files import expire, names, write_lease

from tickets.errors import DiskError, LeaseLostError
from tickets.store import HeldError, take, taken
from tickets.store.holder import SIZE, holder_of
from tickets.store.processes import here

pytestmark = pytest.mark.usefixtures("preloaded")


def test_one_takes_it_and_the_next_one_is_told_who_has_it(tmp_path):
    folder = tmp_path / "cohort-000"
    lease = take(folder)
    assert lease.generation == 1
    assert lease.record == {
        "owner": lease.record["owner"],
        "host": here()[0],
        "process": os.getpid(),
        "generation": 1,
    }
    lease.check()
    with pytest.raises(
        HeldError, match=rf"^process {os.getpid()} on {here()[0]} is at work in .*cohort-000; wait"
    ) as no:
        take(folder)
    assert str(pickle.loads(pickle.dumps(no.value))) == str(no.value)
    lease.release()
    assert names(folder) == []
    lease.release()
    with taken(folder) as again:
        assert again.generation == 1
    assert names(folder) == []


def test_it_is_renewed_and_the_file_keeps_its_size(tmp_path, monkeypatch):
    monkeypatch.setenv("TICKETS_LEASE_SECONDS", "0.5")
    with taken(tmp_path):
        first, deadline = holder_of(tmp_path), time.monotonic() + 30
        while holder_of(tmp_path).mark == first.mark:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert holder_of(tmp_path).owner == first.owner
        assert (tmp_path / ".lease-000001").stat().st_size == SIZE


def test_an_expired_one_is_taken_over_and_its_owner_finds_out(tmp_path):
    old = take(tmp_path)
    with taken(tmp_path, expired=holder_of(tmp_path).mark) as new:
        assert new.generation == 2
        assert names(tmp_path) == [".lease-000002"]
        said = rf"process {os.getpid()} on .* has taken it over \(generation 2\); this process had generation 1"
        with pytest.raises(LeaseLostError, match=said):
            old.check()
        with pytest.raises(LeaseLostError):
            old.raise_if_lost()
        old.release()
        new.check()
        assert names(tmp_path) == [".lease-000002"]
    # The numbers begin again: the file has the old one's name, and is another's.
    with taken(tmp_path) as newest:
        assert newest.generation == 1
        old._lost = None
        with pytest.raises(LeaseLostError):
            old.check()


def test_one_that_was_renewed_since_it_was_judged_is_not_taken_over(tmp_path):
    write_lease(tmp_path, beat=1)
    mark = expire(tmp_path)
    write_lease(tmp_path, beat=2)
    with pytest.raises(HeldError, match="process 4321 on node-7"):
        take(tmp_path, expired=mark)


def test_the_owner_of_a_lease_that_is_gone_finds_out(tmp_path):
    with taken(tmp_path / "a") as lease:
        (tmp_path / "a" / ".lease-000001").unlink()
        with pytest.raises(LeaseLostError, match="the lease of this process is gone"):
            lease.check()
    with taken(tmp_path / "b") as lease:
        (tmp_path / "b").rename(tmp_path / "c")
        with pytest.raises(DiskError, match=r"/b: was moved or removed while it was written to.*--out"):
            lease.check()
        assert not (tmp_path / "b").exists()


def test_a_fork_does_not_release_what_its_parent_has(tmp_path, monkeypatch):
    lease = take(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)
        lease.release()
    lease.check()
    lease.release()


def test_of_many_that_take_over_one_lease_at_once_one_gets_it(tmp_path):
    count, start = 8, threading.Barrier(8)

    def race(mark):
        start.wait()
        try:
            return take(tmp_path, expired=mark)
        except HeldError:
            return None

    write_lease(tmp_path)
    with ThreadPoolExecutor(count) as pool:
        for generation in range(2, 40):
            mark = holder_of(tmp_path).mark
            won = [one for one in pool.map(race, [mark] * count) if one is not None]
            assert [one.generation for one in won] == [generation]
            assert names(tmp_path) == [f".lease-{generation:06d}"]
            won[0]._released.set()  # it is not renewed, nor removed


RACE = """
import os, sys
from pathlib import Path
from tickets.store.lease import HeldError, take
folder, inside, rounds = Path(sys.argv[1]), Path(sys.argv[2]), 0
children = []
for number in range(4):  # one import for all of them
    children.append(os.fork())
    if children[-1] == 0:
        break
else:
    print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
    sys.exit()
while rounds < 25:
    try:
        lease = take(folder)
    except HeldError:
        continue
    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # fails if another one is inside
    lease.check()
    rounds += 1
    os.unlink(inside)
    if rounds == 10 and number == 0:
        os.kill(os.getpid(), 9)
    lease.release()
"""


def test_processes_that_take_and_release_it_as_fast_as_they_can_are_never_inside_together(tmp_path):
    folder = tmp_path / "cohort-000"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RACE, folder, tmp_path / "inside"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("[-9, 0, 0, 0]\n", "")
    with taken(folder):
        pass
    assert names(folder) == []


KILLED = """
import os, sys
from pathlib import Path
from tickets.store import take
for folder, name, after in (argument.split(",") for argument in sys.argv[1:]):
    child = os.fork()
    if child == 0:
        real = getattr(os, name)
        def killed(*arguments):
            if after:
                real(*arguments)
            os.kill(os.getpid(), 9)
        setattr(os, name, killed)
        take(Path(folder))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_process_that_is_killed_while_it_takes_a_lease_leaves_no_half_of_one(tmp_path, monkeypatch):
    monkeypatch.setenv("TICKETS_LEASE_SECONDS", "80000")
    moments = [("write", ""), ("write", "1"), ("link", ""), ("link", "1")]
    given = []
    for number, (name, after) in enumerate(moments):
        (tmp_path / str(number)).mkdir()
        given.append(f"{tmp_path / str(number)},{name},{after}")
    command = [sys.executable, "-W", "ignore", "-c", KILLED, *given]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == "-9\n" * 4
    for number, moment in enumerate(moments):
        folder = tmp_path / str(number)
        assert len(names(folder)) == (2 if moment == ("link", "1") else 1)
        with taken(folder):
            assert len(names(folder)) == 1, "what the killed process was writing is removed"


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_on_a_file_system_without_links_it_is_written_in_place(tmp_path, monkeypatch, number):
    def refused(source, target):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refused)
    with taken(tmp_path) as lease:
        lease.check()
        assert names(tmp_path) == [".lease-000001"]
        with pytest.raises(HeldError):
            take(tmp_path)
    assert names(tmp_path) == []


def test_a_link_that_was_made_twice_is_this_process_own(tmp_path, monkeypatch):
    """A network file system may make a link, lose the answer, and be asked for it again."""
    real = os.link

    def twice(source, target):
        real(source, target)
        real(source, target)

    monkeypatch.setattr(os, "link", twice)
    with taken(tmp_path) as lease:
        lease.check()
    assert names(tmp_path) == []


def test_who_takes_over_from_a_process_that_has_ended_takes_nothing_from_the_next_one(tmp_path, monkeypatch):
    """Others take over, release and take again, with the number of the first, while this process writes its file."""
    old = take(tmp_path)
    mark = holder_of(tmp_path).mark
    real, next_one = os.fsync, []

    def slow(descriptor):
        real(descriptor)
        if not next_one:
            next_one.append(None)
            take(tmp_path, expired=mark).release()
            next_one[0] = take(tmp_path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", slow)
        with pytest.raises(HeldError):
            take(tmp_path, expired=mark)
    assert next_one[0].generation == 1
    next_one[0].check()
    next_one[0].release()
    old.release()
