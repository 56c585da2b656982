"""Nothing is committed, replaced or removed under a lease that another process has taken over."""

from __future__ import annotations

import pytest
from lease_files import names

from tickets.errors import LeaseLostError
from tickets.store import commit, replace_file, take, taken
from tickets.store.holder import holder_of
from tickets.store.sealed import read_json
from tickets.store.temporary import sweep

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
    old = take(tmp_path)
    new = take(tmp_path, expired=holder_of(tmp_path).mark)
    (tmp_path / f".tmp-thing-000-{'0' * 32}").mkdir()
    with pytest.raises(LeaseLostError):
        sweep(tmp_path, old.check)
    assert len(names(tmp_path)) == 2
    new.release()
    old.release()
