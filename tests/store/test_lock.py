from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from tickets.errors import InputError
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
    refused = pytest.raises(InputError, match=r"cannot be a campaign's folder \(.*\); give another \(--out\)")
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
