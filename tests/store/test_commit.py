from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import textwrap

import pytest

from tickets.errors import DiskError
from tickets.store import commit, lock, replace_file, sweep_temporary
from tickets.store.manifests import read_manifest

FILES = {"a.bin": b"abc", "b.bin": lambda: b"12345"}


def sweep(folder):
    with lock(folder) as lease:
        return sweep_temporary(folder, lease.check)


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_a_commit_writes_the_files_and_a_manifest_of_them(tmp_path):
    (tmp_path / "x" / "y").mkdir(parents=True)
    commit(tmp_path / "x" / "y" / "thing-000", FILES, {"kind": "round", "replicates": [0]})
    folder = tmp_path / "x" / "y" / "thing-000"
    assert names(folder) == ["a.bin", "b.bin", "manifest.json"]
    assert (folder / "b.bin").read_bytes() == b"12345"
    content = json.loads((folder / "manifest.json").read_text())
    assert re.fullmatch("[0-9a-f]{64}", content.pop("sha256"))
    assert content == {
        "schema": 1,
        "kind": "round",
        "replicates": [0],
        "files": {
            "a.bin": {"bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()},
            "b.bin": {"bytes": 5, "sha256": hashlib.sha256(b"12345").hexdigest()},
        },
    }
    assert names(folder.parent) == ["thing-000"]


def test_files_and_folders_are_as_readable_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "new" / "run.json", b"{}")
        commit(tmp_path / "new" / "done", FILES, {})
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "new").rglob("*")}
    assert modes == {"done": 0o750, "a.bin": 0o640, "b.bin": 0o640, "manifest.json": 0o640, "run.json": 0o640}


@pytest.mark.parametrize("filled", [True, False])
def test_what_is_committed_is_never_changed(tmp_path, filled):
    target = tmp_path / "thing-000"
    target.mkdir()
    if filled:
        (target / "mine").write_text("mine")
    with pytest.raises(FileExistsError, match=r"thing-000 exists already, and committed folders are never changed"):
        commit(target, FILES, {})
    assert names(target) == (["mine"] if filled else [])
    assert names(tmp_path) == ["thing-000"]


def test_no_file_is_written_over_another(tmp_path):
    with pytest.raises(FileExistsError, match=r"manifest\.json"):
        commit(tmp_path / "thing-000", {"manifest.json": b"mine"}, {})
    assert names(tmp_path) == []


def test_a_folder_that_appears_meanwhile_is_not_replaced(tmp_path):
    def slow() -> bytes:
        (tmp_path / "thing-000").mkdir()
        return b""

    with pytest.raises(FileExistsError, match="exists already"):
        commit(tmp_path / "thing-000", {"a": slow}, {})
    assert names(tmp_path) == ["thing-000"]
    assert not names(tmp_path / "thing-000")


def test_everything_is_synced_before_the_name_is_there_and_the_parent_after(tmp_path, monkeypatch):
    done = []
    real_sync, real_rename = os.fsync, os.rename

    def sync(descriptor):
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")).split("-")[0])
        real_sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "rename", lambda *paths: (done.append("rename"), real_rename(*paths)))
    commit(tmp_path / "target", FILES, {})
    assert done == ["a.bin", "b.bin", "manifest.json", ".tmp", "rename", tmp_path.name.split("-")[0]]


STEPS = [(os, name) for name in ("open", "write", "fsync", "close", "rename", "mkdir")]


@pytest.mark.parametrize(("target", "name"), STEPS, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("error", [OSError(errno.EIO, "bad disk"), KeyboardInterrupt()], ids=["EIO", "interrupt"])
@pytest.mark.parametrize("cleaned", [True, False], ids=["raised", "killed"])
def test_a_crash_at_any_step_leaves_nothing_or_all(tmp_path, monkeypatch, failing, target, name, error, cleaned):
    if not cleaned:  # a process that is killed does not clean up
        monkeypatch.setattr(shutil, "rmtree", lambda *args, **options: None)
    n = 0
    while True:
        n += 1
        folder = tmp_path / f"cohort-{n:03d}"
        folder.mkdir()
        with failing(target, name, n, error) as calls, contextlib.suppress(KeyboardInterrupt, DiskError):
            commit(folder / "thing-000", FILES, {"kind": "x", "replicates": []})
        if calls[0] < n:
            break
        there = names(folder)
        left_over = [entry for entry in there if entry.startswith(".tmp-")]
        assert len(left_over) <= (0 if cleaned else 1)
        assert [entry for entry in there if entry not in left_over] in ([], ["thing-000"])
        if "thing-000" in there:
            assert sorted(read_manifest(folder / "thing-000")["files"]) == ["a.bin", "b.bin"]
            assert (folder / "thing-000" / "b.bin").read_bytes() == b"12345"
    assert n > 1


def test_a_killed_process_leaves_what_the_sweep_removes(tmp_path):
    program = """
        import os, sys
        from pathlib import Path
        from tickets.store import commit
        commit(Path(sys.argv[1]), {"a": b"a", "b": lambda: os._exit(9)}, {})
    """
    target = tmp_path / "run" / "cohort-000" / "thing-000"
    target.parent.mkdir(parents=True)
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(target)], check=False)
    assert done.returncode == 9
    (left_over,) = names(target.parent)
    assert left_over.startswith(".tmp-thing-000-")
    assert sweep(tmp_path) == [target.parent / left_over]
    assert names(target.parent) == []


def test_the_sweep_takes_only_what_a_commit_made_up(tmp_path):
    token = "0123456789abcdef" * 2
    stays = [".tmp-notes", f"notes-{token}", "thing-000", ".tmp-thing-000", f"deep/er/still/.tmp-x-{token}"]
    stays += [f"report/.tmp-index.html-{token}"]  # of another command, which may be at work
    goes = [
        f".tmp-campaign.toml-{token}",
        f"run/.tmp-run.json-{token}",
        f"run/cohort-012/.tmp-round-003.1-{token}",
    ]
    for name in [*stays, *goes]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).mkdir() if "round" in name else (tmp_path / name).write_text("")
    assert sweep(tmp_path) == sorted(tmp_path / name for name in goes)
    assert all((tmp_path / name).exists() for name in stays)
    assert not any((tmp_path / name).exists() for name in goes)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (
            errno.ENOSPC,
            r"no space left in .*cohort-000 to write thing-000 \(1.0 MB or more\); free some and run the",
        ),
        (errno.EDQUOT, r"disk quota is used up in .*; free some and run the same command to go on"),
        (
            errno.EACCES,
            r"permission denied in .*cohort-000 to write thing-000 .*; make it writable .*\(--out\)",
        ),
        (errno.EROFS, r"the file system is read-only in .*; make it writable"),
    ],
)
def test_a_full_or_closed_disk_is_said_with_the_mend(tmp_path, failing, number, message):
    full = OSError(number, os.strerror(number))
    (tmp_path / "cohort-000").mkdir()
    with failing(os, "fsync", 2, full), pytest.raises(DiskError, match=message):
        commit(tmp_path / "cohort-000" / "thing-000", {"a": bytes(400_000), "b": bytes(600_000)}, {})
    assert names(tmp_path / "cohort-000") == []


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, failing):
    path = tmp_path / "new" / "run.json"
    replace_file(path, b"first")
    replace_file(path, b"second")
    assert path.read_bytes() == b"second"
    assert names(path.parent) == ["run.json"]
    for name in ("open", "write", "fsync", "close", "replace"):
        bad = OSError(errno.EIO, "bad disk")
        with failing(os, name, 1, bad), pytest.raises(DiskError, match=r"run\.json: .*check the disk, its connection"):
            replace_file(path, b"third")
        assert path.read_bytes() == b"second"
        assert names(path.parent) == ["run.json"]
    message = r"no space left in .*new to write run.json \(5 bytes or more\)"
    with failing(os, "replace", 1, OSError(errno.ENOSPC, "full")), pytest.raises(DiskError, match=message):
        replace_file(path, b"third")
