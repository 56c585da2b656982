from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tickets.errors import DiskError, InputError, LeaseLostError
from tickets.store import HeldError, Watch, commit, replace_file, take, taken
from tickets.store.holder import SIZE, encode, here, holder_of, started_at
from tickets.store.lease import lease_seconds
from tickets.store.sealed import read_json


class Clock:
    """A clock that stands still until the test moves it."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_lease(folder, generation=1, beat=0, **changes):
    """The lease file of another process, which is on another machine unless the changes say otherwise."""
    folder.mkdir(exist_ok=True)
    content = json.loads(encode("f" * 32, 100.0, beat)) | {"host": "node-7", "process": 4321} | changes
    path = folder / f".lease-{generation:06d}"
    path.write_bytes(json.dumps(content).encode().ljust(SIZE))
    return path


def expire(folder, seconds=100.0):
    """The mark of a lease that was watched until it had expired."""
    clock = Clock()
    watch = Watch(clock)
    for _ in range(12):
        state, holder = watch.look(folder)
        clock.now += seconds / 10
    assert state == "expired"
    return holder.mark


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


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e9", "five", "0x10"])
def test_another_time_must_be_a_number_of_seconds(monkeypatch, text):
    monkeypatch.setenv("TICKETS_LEASE_SECONDS", text)
    with pytest.raises(InputError, match=rf"TICKETS_LEASE_SECONDS = '{text}': must be a number of seconds from 0.5"):
        lease_seconds()


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


FILES = {"a.bin": b"abc", "b.bin": b"12345"}
MANIFEST = {"kind": "x", "replicates": []}


@pytest.fixture
def rival(tmp_path):
    """rival() takes the folder over and commits the round, as another process would; rival.committed: what."""

    def take_over():
        with taken(tmp_path, expired=holder_of(tmp_path).mark) as lease:
            take_over.generation = lease.generation
            if take_over.commits:
                commit(
                    tmp_path / "thing-000", {**FILES, "c.bin": b"rival"}, {"kind": "x", "replicates": []}, lease.check
                )

    take_over.commits = True
    return take_over


def files(folder):
    return set(read_json(folder / "manifest.json")["files"])


@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.parametrize("when", ["before", "while it writes", "before the permit", "after the permit"])
def test_nothing_is_committed_under_an_old_lease_wherever_its_process_was_stopped(tmp_path, rival, when, commits):
    rival.commits = commits
    lease = take(tmp_path)
    asked = []

    def stopped():
        rival()
        return b""

    def permit():
        asked.append(when)
        if asked == ["before the permit"]:
            rival()
        lease.check()
        if asked == ["after the permit"]:
            rival()

    if when == "before":
        rival()
    more = {"c.bin": stopped} if when == "while it writes" else {}
    with pytest.raises(LeaseLostError, match=r"the lease of this process is gone"):
        commit(tmp_path / "thing-000", {**FILES, **more}, MANIFEST, permit)
    there = names(tmp_path)
    aside = [name for name in there if name.startswith("set-aside-thing-000-")]
    # What the rival had found half written, it has removed.
    assert len(aside) == (1 if when == "before" else 0)
    assert [name for name in there if name not in aside] == (["thing-000"] if commits else [])
    assert all(files(tmp_path / name) == set(FILES) for name in aside)
    assert not commits or "c.bin" in files(tmp_path / "thing-000")
    lease.release()


@pytest.mark.parametrize("when", ["before", "after the permit"])
def test_no_file_is_replaced_under_an_old_lease(tmp_path, when):
    path, lease = tmp_path / "run.json", take(tmp_path)

    def rival():
        with taken(tmp_path, expired=holder_of(tmp_path).mark) as other:
            replace_file(path, b"rival", other.check)

    def permit(asked=[]):  # noqa: B006
        lease.check()
        if not asked and when != "before":
            asked.append(0)
            rival()

    if when == "before":
        rival()
    with pytest.raises(LeaseLostError):
        replace_file(path, b"old", permit)
    assert path.read_bytes() == b"rival"
    assert names(tmp_path) == ["run.json"]
    lease.release()


def test_a_target_that_is_there_under_a_valid_lease_is_no_rivals(tmp_path):
    (tmp_path / "thing-000").mkdir()
    with taken(tmp_path) as lease, pytest.raises(FileExistsError, match="exists already"):
        commit(tmp_path / "thing-000", FILES, {}, lease.check)
    assert names(tmp_path) == ["thing-000"]


def test_who_has_lost_a_folder_removes_nothing_that_the_next_one_writes(tmp_path):
    from tickets.store.commit import sweep

    old = take(tmp_path)
    new = take(tmp_path, expired=holder_of(tmp_path).mark)
    (tmp_path / f".tmp-thing-000-{'0' * 32}").mkdir()
    with pytest.raises(LeaseLostError):
        sweep(tmp_path, old.check)
    assert len(names(tmp_path)) == 2
    new.release()
    old.release()
