from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import uuid

import pytest
from lease_files import write_lease

from tickets.errors import DiskError, InputError
from tickets.store import at_work, lock, sweep_temporary, take, taken
from tickets.store.holder import encode
from tickets.store.processes import here

pytestmark = pytest.mark.usefixtures("preloaded")

HOLD = """
import sys
from pathlib import Path
from tickets.store import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_one_waits_until_the_first_lets_go(tmp_path):
    folder, entered = tmp_path / "saved" / "campaign", threading.Event()

    def enter():
        with lock(folder):
            entered.set()

    with lock(folder):
        assert [path.name for path in folder.iterdir()] == [".lease-000001"]
        second = threading.Thread(target=enter)
        second.start()
        assert not entered.wait(0.3)
    assert entered.wait(30)
    second.join()
    assert list(folder.iterdir()) == []


def test_the_lock_of_a_process_that_is_killed_is_free_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TICKETS_LEASE_SECONDS", "80000")
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()  # and nobody has waited for it: it is a zombie
        with lock(tmp_path) as lease:
            assert lease.generation == 2
    assert list(tmp_path.iterdir()) == []


def test_the_lock_is_free_after_an_error_and_can_be_taken_again(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), lock(tmp_path):
            raise KeyboardInterrupt
    with lock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.EACCES, r"permission denied in .* to write \.lease-000001; make"),
        (errno.EIO, r"cannot be written \(Input/output error\); check the disk"),
    ],
)
def test_a_folder_that_may_not_be_written_to_is_said(tmp_path, monkeypatch, code, message):
    real = os.open

    def refusing(path, *args, **options):
        if "lease-" in str(path):
            raise OSError(code, os.strerror(code))
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(InputError, match=message), lock(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path):
    refused = pytest.raises(
        DiskError, match=r"x/campaign\.toml: cannot be written \(.*\); give a folder with a shorter path"
    )
    with refused, lock(tmp_path / ("x" * 300)):
        pass


def test_the_sweep_leaves_what_another_process_is_writing(tmp_path):
    mine, others = tmp_path / "run" / "cohort-000", tmp_path / "run" / "cohort-001"
    for cohort in (mine, others):
        (cohort / f".tmp-round-000-{uuid.uuid4().hex}").mkdir(parents=True)
    with lock(tmp_path) as lease:
        other = take(others)
        removed = sweep_temporary(tmp_path, lease.check)
        assert [path.parent for path in removed] == [mine]
        assert list(mine.iterdir()) == []
        other.release()
        assert [path.parent for path in sweep_temporary(tmp_path, lease.check)] == [others]


def test_a_lock_that_could_not_be_removed_is_taken_again_at_once(tmp_path, monkeypatch):
    def refusing(path, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    with lock(tmp_path), monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refusing)
        patch.setattr("pathlib.Path.unlink", refusing)
        with taken(tmp_path / "cohort"):
            pass
    assert list((tmp_path / "cohort").iterdir())
    with taken(tmp_path / "cohort") as lease:
        assert lease.generation == 2
    assert list((tmp_path / "cohort").iterdir()) == []


def test_the_sweep_removes_the_log_that_a_repair_was_writing(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    begun, reports = (run / f".tmp-{name}-{uuid.uuid4().hex}" for name in ("log.jsonl", "report"))
    begun.touch()
    reports.mkdir()
    with lock(tmp_path) as lease:
        assert sweep_temporary(tmp_path, lease.check) == [begun]
    assert reports.is_dir()


def test_who_is_at_work_in_a_campaign(tmp_path, monkeypatch):
    monkeypatch.setenv("TICKETS_LEASE_SECONDS", "0.5")
    cohort = tmp_path / "run" / "cohort-000"
    cohort.mkdir(parents=True)
    (tmp_path / "run" / "run.json").touch()
    assert at_work(tmp_path) is None
    with taken(cohort):
        found = at_work(tmp_path)
        assert found is not None
        assert found.holder.process == os.getpid()
    elsewhere = cohort / ".lease-000007"
    monkeypatch.setattr("tickets.store.holder.here", lambda: ("node-7", None, None))
    content = [encode("1" * 32, 0.5, beat) for beat in range(2)]
    monkeypatch.undo()
    monkeypatch.setenv("TICKETS_LEASE_SECONDS", "0.5")
    elsewhere.write_bytes(content[0])
    assert at_work(tmp_path) is None, "it was not renewed for as long as the lease lasts"
    later = threading.Timer(0.2, lambda: elsewhere.write_bytes(content[1]))
    later.start()
    said = []
    found = at_work(tmp_path, said.append)
    later.join()
    assert str(found and found.holder) == f"process {os.getpid()} on node-7"
    assert said == [
        f"{cohort}: process {os.getpid()} on node-7 may be at work; waits until the lease is renewed, for 0.5 s at "
        "most (this process cannot see whether that one has ended)"
    ]


@pytest.mark.skipif(here()[1] is None, reason="needs /proc")
def test_nobody_waits_for_a_process_of_this_machine_that_has_ended(tmp_path, monkeypatch):
    cohort = tmp_path / "run" / "cohort-000"
    cohort.mkdir(parents=True)
    (tmp_path / "run" / "run.json").touch()
    host, boot, namespace = here()
    write_lease(cohort, host=host, boot=boot, namespace=namespace, process=2**31 - 2, seconds=80_000)
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("waits"))
    assert at_work(tmp_path, pytest.fail) is None


def test_a_cohort_that_cannot_be_swept_stops_no_other(tmp_path, monkeypatch):
    cohort = tmp_path / "run" / "cohort-000"
    (cohort / f".tmp-round-000-{uuid.uuid4().hex}").mkdir(parents=True)
    said = []

    def refused(folder, expired=None):
        raise DiskError(f"permission denied in {folder}")

    with lock(tmp_path) as lease:
        monkeypatch.setattr(sys.modules["tickets.store.lock"], "take", refused)
        assert sweep_temporary(tmp_path, lease.check, said.append) == []
    (line,) = said
    assert line.startswith(f"{cohort}: what an interrupted process left there is not removed, and does no harm: perm")
