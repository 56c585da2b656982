"""Everything that the store asks of the system may be refused: the error says so, and the same command goes on."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
from contextlib import contextmanager

import pytest
from played_campaign import SMALLEST, Checks, contents, play
from quick_folders import quick_folder
from stepped import REFUSALS, Fault, stepped

from tickets.errors import DiskError
from tickets.store import append_event, commit, lock, read_events, replace_file, sweep_temporary

FILES = {"a.bin": b"abc" * 100, "b.bin": b"12345" * 100}


def save(campaign):
    """A campaign's folder, a run.json, a commit and an event: each way in which the store writes."""
    with lock(campaign) as lease:
        sweep_temporary(campaign, lease.check)
        replace_file(campaign / "run" / "run.json", b"new")
        if not (campaign / "run" / "cohort-000" / "initial").exists():
            commit(campaign / "run" / "cohort-000" / "initial", FILES, {"kind": "x", "replicates": []})
        append_event(campaign / "run" / "log.jsonl", {"event": "round"})


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def refuse(campaign, fault, work=save):
    """Work with a fault. Whether there was a step to fail; what was said is one line with file and remedy."""
    line = f"{campaign}; "
    try:
        with stepped(campaign, fault):
            work(campaign)
    except DiskError as error:
        (line,) = error.problems
    assert "\n" not in line
    assert str(campaign) in line or f"in {campaign.parent} to write {campaign.name}" in line
    assert "; " in line
    return fault.failed is not None


@pytest.fixture(autouse=True)
def short_leases(monkeypatch):
    """Where nothing can be removed, half a lease file stays, of nobody who is known: it expires."""
    monkeypatch.setenv("TICKETS_LEASE_SECONDS", "0.5")


@pytest.fixture
def memory(tmp_path):
    with quick_folder(tmp_path) as folder:
        yield folder


LASTING = (errno.ENOSPC, errno.EIO, errno.EROFS)


@pytest.mark.parametrize(
    ("number", "lasting"), [*((number, False) for number in REFUSALS), *((number, True) for number in LASTING)]
)
def test_a_refusal_at_any_step_leaves_all_or_nothing_and_the_next_start_goes_on(number, lasting, memory):
    n = 0
    while True:
        n += 1
        campaign = memory / str(n)
        fault = Fault(n, number, lasting, short=bool(n % 2))
        if not refuse(campaign, fault):
            break
        run = campaign / "run"
        for folder in (campaign, run, run / "cohort-000") if not lasting else ():
            # What could not be removed stays; everything else is cleaned.
            if folder.is_dir() and fault.failed[0] != "unlink":
                assert not [name for name in names(folder) if name.startswith(".tmp-")], fault.failed
        if (run / "cohort-000" / "initial").exists():
            assert names(run / "cohort-000" / "initial") == ["a.bin", "b.bin", "manifest.json"]
        if any(event["event"] == "round" for event in read_events(run / "log.jsonl")):
            assert (run / "cohort-000" / "initial").exists()
        save(campaign)
        assert (run / "run.json").read_bytes() == b"new"
        assert (run / "cohort-000" / "initial" / "b.bin").read_bytes() == FILES["b.bin"]
        assert list(read_events(run / "log.jsonl"))[-1]["event"] == "round"
        assert not list(campaign.rglob(".tmp-*"))
    assert n > 30


def test_a_short_write_is_gone_on_with(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:7]))
    save(tmp_path / "campaign")
    initial = tmp_path / "campaign" / "run" / "cohort-000" / "initial"
    assert (initial / "a.bin").read_bytes() == FILES["a.bin"]
    assert [event["event"] for event in read_events(tmp_path / "campaign" / "run" / "log.jsonl")] == ["round"]


REMEDIES = {
    errno.EIO: "check the disk, its connection and its mount",
    errno.EMFILE: r"raise the limit of open files \(ulimit -n 4096\)",
    errno.ENFILE: "end other programs",
    errno.EFBIG: r"raise the limit of a file's size \(ulimit -f unlimited\)",
    errno.ENAMETOOLONG: r"a shorter path \(--out\)",
    errno.ENOTDIR: "a file stands where a folder belongs: move it away",
    errno.EISDIR: "a folder stands where a file belongs: move it away",
    errno.ENOENT: "if it was moved or renamed, move it back",
    errno.ESTALE: "check the disk, its connection and its mount",
    errno.EREMOTEIO: r"remove the cause and run the same command to go on, or write to another folder \(--out\)",
}


@pytest.mark.parametrize("number", REMEDIES, ids=errno.errorcode.get)
def test_each_reason_has_its_remedy(number, tmp_path):
    said = rf"new/run\.json: cannot be written \({os.strerror(number)}\); .*{REMEDIES[number]}"
    with pytest.raises(DiskError, match=said), stepped(tmp_path, Fault(1, number)):
        replace_file(tmp_path / "new" / "run.json", b"{}")


def test_a_played_campaign_survives_a_refusal_at_any_step(memory):
    play(memory / "whole", stages=SMALLEST)
    whole, n = contents(memory / "whole"), 0
    check = Checks(whole)
    while True:
        n += 1
        campaign, acknowledged = memory / str(n), []
        fault = Fault(n, REFUSALS[n % len(REFUSALS)], lasting=bool(n % 2), short=bool(n % 3))
        if not refuse(campaign, fault, lambda folder: play(folder, acknowledged.append, SMALLEST)):  # noqa: B023
            break
        if campaign.exists():
            check(campaign, acknowledged)
        play(campaign, stages=SMALLEST)
        assert contents(campaign) == whole
    assert n > 60


@contextmanager
def limited(kind, value):
    before = resource.getrlimit(kind)
    # Otherwise a file that grows too large ends the process. Python ignores the signal; a shell may have changed that.
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(kind, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("size", [0, 10, 299, 450])
def test_a_limit_of_the_file_size(size, tmp_path):
    said = pytest.raises(DiskError, match=r"cannot be written \(File too large\); raise the limit of a file's size")
    with said, limited(resource.RLIMIT_FSIZE, size):
        save(tmp_path / "campaign")
    assert not list(tmp_path.rglob(".tmp-*"))
    save(tmp_path / "campaign")


def test_a_limit_of_open_files(tmp_path):
    (tmp_path / "campaign").mkdir()
    with lock(tmp_path / "campaign"):
        spare = os.open(tmp_path, os.O_RDONLY)
        os.close(spare)
        said = pytest.raises(DiskError, match=r"Too many open files\); raise the limit of open files")
        with said, limited(resource.RLIMIT_NOFILE, spare):
            replace_file(tmp_path / "campaign" / "run.json", b"{}")
    assert names(tmp_path / "campaign") == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system in memory of 300 KB, as root."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here ({done.stderr.strip()})")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full(small_disk, tmp_path):
    play(tmp_path / "whole")
    whole, check = contents(tmp_path / "whole"), Checks(contents(tmp_path / "whole"))
    filler = small_disk / "filler"
    left = 300 * 1024
    acknowledged, said = [], []
    for space in range(0, 120 * 1024, 12 * 1024):  # ever more of it is free
        filler.write_bytes(bytes(max(0, left - space - 40 * 1024)))
        try:
            play(small_disk / "campaign", acknowledged.append)
            break
        except DiskError as error:
            said.append("no space left in" in str(error))
            assert not list(small_disk.rglob(".tmp-*"))
            check(small_disk / "campaign", acknowledged)
    filler.unlink()
    assert all(said)
    assert len(said) > 3
    play(small_disk / "campaign", acknowledged.append)
    assert contents(small_disk / "campaign") == whole
