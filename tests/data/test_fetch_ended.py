"""A download that is killed: its temporary folder goes, at once or with the next download."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from served_files import Server, serving

from tickets.data.downloads import Download, Downloads
from tickets.data.fetch import fetch
from tickets.data.scratch import remove_left_over, scratch_folder

FILE = gzip.compress(b"some images" * 10)
ONE = {"mnist": Downloads((), (Download("a.gz", hashlib.md5(FILE, usedforsecurity=False).hexdigest(), len(FILE)),))}

# One process imports the package, and has a child for each signal and for each limit of the system.
CHILDREN = """
import os, resource, signal, sys, time
from pathlib import Path
from tickets.data.downloads import Download, Downloads
from tickets.data.fetch import fetch
from tickets.errors import DiskError

url, folder, size, md5 = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]

def child(name, before, kill=None):
    place = folder / name / "mnist"
    pid = os.fork()
    if not pid:
        try:
            before()
            download = Download(kill or "whole.gz", md5, size)
            fetch("mnist", place.parent, base_url=url, downloads={"mnist": Downloads((), (download,))})
        except KeyboardInterrupt:
            os._exit(130)
        except DiskError as error:
            print(name, error, flush=True)
            os._exit(1)
        except BaseException as error:
            print(name, "unexpected", repr(error), flush=True)
        os._exit(99)
    deadline = time.monotonic() + 60
    while kill and time.monotonic() < deadline and not list(place.glob(".tmp-fetch-*/from-0-stalled.gz")):
        time.sleep(0.01)
    if kill:
        os.kill(pid, signal.Signals[name])
        if name == "SIGHUP":
            os.kill(pid, signal.SIGTERM)  # a second one, while the first is being dealt with
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(name, code, *sorted(path.name.partition("-")[0] for path in place.iterdir()), flush=True)

interrupts = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGTERM", "SIGHUP", "SIGINT", "SIGKILL"):
    child(name, interrupts, "stalled.gz")
child("RLIMIT_FSIZE", lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20)))
child("RLIMIT_NOFILE", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5)))
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as served:
        served.files = {"a.gz": FILE, "whole.gz": FILE}
        served.behaviours["stalled.gz"] = lambda _request: served.wait() and None
        yield served


def test_a_killed_download_leaves_nothing_but_by_sigkill_and_that_goes_with_the_next(
    server: Server, tmp_path: Path
) -> None:
    (checksum,) = (download.md5 for download in ONE["mnist"].downloads)
    ended = subprocess.run(
        [sys.executable, "-c", CHILDREN, server.url, str(tmp_path), str(len(FILE)), checksum],
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = dict(line.partition(" ")[::2] for line in ended.stdout.splitlines() if "cannot" not in line)
    assert said == {
        "SIGTERM": f"-{signal.SIGTERM.value}",
        "SIGHUP": f"-{signal.SIGHUP.value}",
        "SIGINT": "130",
        "SIGKILL": f"-{signal.SIGKILL.value} .tmp",
        "RLIMIT_FSIZE": "1",
        "RLIMIT_NOFILE": "1",
    }, ended
    assert ended.stderr == ""
    told = [line for line in ended.stdout.splitlines() if "cannot" in line]
    for line, why in zip(told, ("File too large", "Too many open files"), strict=True):
        limit = line.partition(" ")[0]
        assert line.startswith(f"{limit} {tmp_path}/{limit}/mnist/whole.gz: cannot be written ({why}); give another")

    left = tmp_path / "SIGKILL"
    (path,) = fetch("mnist", left, base_url=server.url, downloads=ONE)
    assert list((left / "mnist").iterdir()) == [path]


def test_a_folder_in_use_is_no_left_over(tmp_path: Path) -> None:
    (tmp_path / ".tmp-fetch-left").mkdir()
    (tmp_path / ".tmp-fetch-left" / "a.gz").write_bytes(b"half")
    (tmp_path / ".tmp-fetch-file").write_bytes(b"the user's")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_bytes(b"the user's")
    (tmp_path / ".tmp-fetch-link").symlink_to(tmp_path / "elsewhere")
    with scratch_folder(tmp_path) as used:
        remove_left_over(tmp_path)
        assert used.is_dir()
        there = {path.name for path in tmp_path.iterdir()}
        assert there == {used.name, ".tmp-fetch-file", ".tmp-fetch-link", "elsewhere"}
        assert (tmp_path / "elsewhere" / "kept").exists()
    assert not used.exists()


def test_without_locks_only_what_is_a_day_old_is_left_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    young, old = tmp_path / ".tmp-fetch-young", tmp_path / ".tmp-fetch-old"
    for folder in (young, old):
        (folder / "from-0").mkdir(parents=True)
    for path in (old / "from-0", old):
        os.utime(path, (0, time.time() - 100_000))
    with scratch_folder(tmp_path) as used:
        remove_left_over(tmp_path)
        assert set(tmp_path.iterdir()) == {used, young}
    assert set(tmp_path.iterdir()) == {young}


def test_a_folder_that_another_process_takes_for_a_left_over_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, taken = os.open, []

    def removed_first(path: Path, *rest: int, **options: int) -> int:
        if Path(path).name.startswith(".tmp-fetch-") and len(taken) < 2:
            taken.append(path)
            if len(taken) == 2:
                descriptor = real(path, *rest, **options)
                os.rmdir(path)
                return descriptor
            os.rmdir(path)
        return real(path, *rest, **options)

    monkeypatch.setattr("tickets.data.scratch.os.open", removed_first)
    with scratch_folder(tmp_path) as used:
        assert used.is_dir()
        assert used not in taken
    assert len(taken) == 2
    assert list(tmp_path.iterdir()) == []


def test_signals_are_as_they_were_afterwards_and_ignored_ones_stay_ignored(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with scratch_folder(tmp_path) as used:
            os.kill(os.getpid(), signal.SIGHUP)
            assert used.is_dir()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is before[0]
    finally:
        signal.signal(signal.SIGHUP, before[1])


def test_it_works_outside_the_main_thread(server: Server, tmp_path: Path) -> None:
    found: list[Path] = []
    thread = threading.Thread(target=lambda: found.extend(fetch("mnist", tmp_path, server.url, downloads=ONE)))
    thread.start()
    thread.join()
    assert found == [tmp_path / "mnist" / "a.gz"]
