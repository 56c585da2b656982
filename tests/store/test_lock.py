from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from tickets.errors import DiskError, InputError
from tickets.store import lock

HOLD = """
import sys
from pathlib import Path
from tickets.store import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_told_who_holds_the_lock_and_gets_it_when_that_ends(tmp_path):
    folder = tmp_path / "campaign"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(
                InputError, match=rf"another `tickets run` \(process {holder.pid}\) is at work in .*campaign"
            ),
            lock(folder),
        ):
            raise AssertionError("two at once")
        holder.kill()  # the lock goes with the process, however that ends
    with lock(folder):
        assert (folder / ".lock").read_text() == f"{os.getpid()}\n"


def test_the_lock_is_free_after_an_error_and_can_be_taken_again(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), lock(tmp_path):
            raise KeyboardInterrupt
    with lock(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()}"), lock(tmp_path):
        raise AssertionError("two at once")
    with lock(tmp_path):
        pass
    assert (tmp_path / ".lock").read_text() == ""


def test_a_folder_that_may_not_be_written_to_is_said(tmp_path, failing):
    error = PermissionError(errno.EACCES, "Permission denied")
    with (
        failing(os, "open", 1, error),
        pytest.raises(InputError, match=r"permission denied in .* to write \.lock; make"),
        lock(tmp_path),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path):
    refused = pytest.raises(DiskError, match=r"x/\.lock: cannot be written \(.*\); give a folder with a shorter path")
    with refused, lock(tmp_path / ("x" * 300)):
        pass


CODES = ["ENOSYS", "EOPNOTSUPP", "ENOTSUP", "ENOLCK", "EINVAL", "EIO", "ESTALE", "EPERM"]


@pytest.mark.parametrize("code", CODES)
def test_a_file_system_without_locks_is_said_so_and_nothing_is_left_in_it(tmp_path, monkeypatch, code):
    number = getattr(errno, code)

    def flock(descriptor, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    folder = tmp_path / "saved" / "campaign"
    said = f"{folder}: lies on a file system that locks no files \\({os.strerror(number)}\\)"
    with (
        pytest.raises(InputError, match=rf"^{said}.*; write to a folder on another file system \(--out\)"),
        lock(folder),
    ):
        raise AssertionError("without a lock")
    assert list(tmp_path.iterdir()) == []
    folder.mkdir(parents=True)
    (folder / "campaign.toml").touch()
    with pytest.raises(InputError), lock(folder):
        raise AssertionError("without a lock")
    assert [path.name for path in folder.iterdir()] == ["campaign.toml"]


def test_a_lock_that_is_no_regular_file_is_neither_waited_for_nor_emptied(tmp_path):
    path = tmp_path / ".lock"
    os.mkfifo(path)
    with pytest.raises(InputError, match=r"\.lock: is a FIFO, not a regular file; remove it"), lock(tmp_path):
        raise AssertionError("locked")
    path.unlink()
    (tmp_path / "precious").write_text("precious")
    path.symlink_to(tmp_path / "precious")
    with pytest.raises(DiskError, match=r"\.lock: .*; a link stands where a file .*: move it away"), lock(tmp_path):
        raise AssertionError("locked")
    path.unlink()
    path.mkdir()
    with pytest.raises(DiskError, match=r"\.lock: .*; a folder stands where a file belongs"), lock(tmp_path):
        raise AssertionError("locked")
    assert (tmp_path / "precious").read_text() == "precious"


def test_who_holds_the_lock_is_no_reason_to_stop(tmp_path, failing):
    full = OSError(errno.ENOSPC, "full")
    for name in ("ftruncate", "pwrite"):
        with failing(os, name, 1, full) as calls, lock(tmp_path):
            assert calls == [1]
    unknown = pytest.raises(InputError, match=r"process unknown")
    with failing(os, "pread", 1, full), lock(tmp_path), unknown, lock(tmp_path):
        raise AssertionError("two at once")


def test_the_folders_that_a_lock_makes_are_synced(tmp_path, monkeypatch):
    synced, real = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd)))
    with lock(tmp_path / "saved" / "campaign"):
        assert synced == [str(tmp_path), str(tmp_path / "saved")]
