"""The index of many runs: quicker, and never another answer than the runs' files give."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time

import pytest
from tiny_campaigns import EXAMPLE

import tickets
from tickets.config import parse_campaign, run_id, to_toml
from tickets.errors import DiskError
from tickets.store import append_event, replace_file, status, write_round
from tickets.store import index as index_module
from tickets.store.index import Index, signature

TABLE = {**EXAMPLE, "rounds": 1, "arms": EXAMPLE["arms"][:2], "sweep": {"seed": [0, 1, 2]}}
MODULE = sys.modules["tickets.store.status"]  # the package has a function of this name


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch):
    monkeypatch.setattr(MODULE, "FEWEST_RUNS", 2)


@pytest.fixture
def folder(example, tmp_path):
    """Two runs that are done, one that waits, and one that is not asked for, which is partly done."""
    campaign = parse_campaign(TABLE)
    folder = tmp_path / "campaign"
    for run in campaign.runs[:2]:
        example.named(run_id(run)).write(folder / run_id(run), run)
    other = campaign.runs[0].model_copy(update={"seed": 7})
    example.named("other").write(folder / "other", other.model_copy(update={"rounds": 0}))
    append_event(folder / "other" / "log.jsonl", {"event": "started", "cohort": 0})
    replace_file(folder / "campaign.toml", to_toml(campaign).encode())
    return folder


def without_index(folder):
    """The status by the files alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "FEWEST_RUNS", 10**9)
        return status(folder)


def aged(folder, seconds=60):
    """As if the index had been written so much later than everything else."""
    at = time.time() + seconds
    os.utime(folder / ".index", (at, at))


def indexed(folder):
    """The folder with an index that is trusted."""
    first = status(folder)
    aged(folder)
    return first


def reads_nothing(monkeypatch):
    def fail(*_):
        raise AssertionError("read")

    for name in ("status_of_run", "read_run", "asked_runs"):
        monkeypatch.setattr(MODULE, name, fail)


def test_what_did_not_change_is_not_read_again(folder, monkeypatch):
    shutil.copytree(next(folder.glob("*seed0*")), folder / "digits-copy")
    (folder / "campaign.toml").unlink()
    first = indexed(folder)
    assert first == without_index(folder)
    before = (folder / ".index").read_bytes()
    reads_nothing(monkeypatch)
    assert status(folder) == first
    assert (folder / ".index").read_bytes() == before


def test_a_run_that_waits_is_measured_by_the_campaign_file(folder):
    first = indexed(folder)
    assert [one.state for one in first] == ["done", "done", "waiting", "done"]
    assert status(folder) == first == without_index(folder)


def a_run(folder):
    return next(folder.glob("*seed0*"))


def in_place(folder):
    """A manifest changed in place: the same inode, size and time."""
    path = a_run(folder) / "cohort-000" / "round-001" / "manifest.json"
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b'"reinit"', b'"reinis"'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def with_another_run(folder):
    shutil.copytree(a_run(folder), folder / "another")


def with_another_arm(folder):
    replace_file(folder / "campaign.toml", to_toml(parse_campaign({**TABLE, "arms": ["ticket", "constant"]})).encode())


CHANGES = {
    "a round is removed": lambda folder: shutil.rmtree(a_run(folder) / "cohort-000" / "round-001"),
    "a round before the last is removed": lambda folder: shutil.rmtree(a_run(folder) / "cohort-000" / "round-000"),
    "a cohort is removed": lambda folder: shutil.rmtree(a_run(folder) / "cohort-000"),
    "initial is removed": lambda folder: shutil.rmtree(a_run(folder) / "cohort-000" / "initial"),
    "a manifest is removed": lambda folder: (a_run(folder) / "cohort-000" / "round-001" / "manifest.json").unlink(),
    "a manifest is changed in place": in_place,
    "run.json is removed": lambda folder: (a_run(folder) / "run.json").unlink(),
    "run.json is another": lambda folder: (folder / "other" / "run.json").write_text("{}"),
    "a run is removed": lambda folder: shutil.rmtree(a_run(folder)),
    "a run is renamed": lambda folder: a_run(folder).rename(folder / "renamed"),
    "a run is copied": with_another_run,
    "the log has a failure": lambda folder: [
        shutil.rmtree(folder / "other" / "cohort-000" / "round-000"),
        append_event(folder / "other" / "log.jsonl", {"event": "failed", "cohort": 0, "why": "out of memory"}),
    ],
    "campaign.toml has other arms": with_another_arm,
    "campaign.toml is removed": lambda folder: (folder / "campaign.toml").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_on_disk_is_seen(folder, change):
    before = indexed(folder)
    assert status(folder) == before
    CHANGES[change](folder)
    now = without_index(folder)
    assert now != before
    assert status(folder) == now
    aged(folder)
    assert status(folder) == now


def test_a_round_that_is_added_is_seen(folder, example):
    before = indexed(folder)
    run = parse_campaign(TABLE).runs[0].model_copy(update={"rounds": 2})
    record = example.named("other").record(run, [0, 1], 1, 0, [("ticket", 0), ("reinit", 0), ("reinit", 1)])
    write_round(folder / "other" / "cohort-000", record)
    now = status(folder)
    assert now == without_index(folder) != before
    assert now[-1].left_over[-1].startswith("round 1 is saved and no longer in the campaign file")


@pytest.mark.parametrize("asked", [True, False])  # campaign.toml has a time too
def test_what_changed_just_before_the_index_was_made_is_read_again(folder, asked):
    """A second change within the same tick of the file system's clock would leave the times as they are."""
    if not asked:
        (folder / "campaign.toml").unlink()
    status(folder)
    campaign = (folder / "campaign.toml").read_bytes() if asked else None
    assert Index(folder, campaign, dict).find(a_run(folder)) is None
    aged(folder, seconds=1)
    assert Index(folder, campaign, dict).find(a_run(folder)) is None
    aged(folder, seconds=60)
    assert Index(folder, campaign, dict).find(a_run(folder)) is not None


def test_an_index_that_took_long_to_make_trusts_what_is_older_than_its_begin(folder, monkeypatch):
    clock = iter([0.0, 100.0])
    monkeypatch.setattr(index_module.time, "monotonic", lambda: next(clock, 100.0))
    status(folder)
    monkeypatch.undo()
    campaign = (folder / "campaign.toml").read_bytes()
    aged(folder, seconds=60)
    assert Index(folder, campaign, dict).find(a_run(folder)) is None
    aged(folder, seconds=160)
    assert Index(folder, campaign, dict).find(a_run(folder)) is not None


def written(content):
    """An index as this version writes it, with any content."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return index_module._head(body) + body


def content_of(folder):
    return json.loads((folder / ".index").read_bytes().partition(b"\n")[2])


def test_a_damaged_index_is_ignored_and_made_anew(folder):
    first = indexed(folder)
    whole = (folder / ".index").read_bytes()
    for place in range(0, len(whole), 97):
        (folder / ".index").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        aged(folder)
        assert Index(folder, (folder / "campaign.toml").read_bytes(), dict).asked is None
    for damaged in (b"", whole[:-1], whole[: len(whole) // 2], whole + b" ", b"\n", b"[" * 10**6):
        (folder / ".index").write_bytes(damaged)
        assert status(folder) == first
        aged(folder)
        assert Index(folder, (folder / "campaign.toml").read_bytes(), dict).find(a_run(folder)) is not None


@pytest.mark.parametrize("key", ["campaign", "asked", "seconds", "places", "values", "runs"])
@pytest.mark.parametrize("value", [None, 3, "x", [3], [[3]], {"a": 3}, [{"a": 3}], {"a": ["x", 9, 9]}, -(10**400)])
def test_an_index_of_another_form_is_ignored(folder, key, value):
    first = indexed(folder)
    changed = {**content_of(folder), key: value}
    if key == "asked" and value is None:
        return  # unknown
    (folder / ".index").write_bytes(written(changed))
    aged(folder)
    assert status(folder) == first


@pytest.mark.parametrize(
    "value", [{}, {"state": "fine"}, {"coverage": {"prunable": {}}}, {"left_over": 3}, {"more": 1}]
)
def test_a_value_that_is_no_status_is_ignored(folder, value):
    first = indexed(folder)
    content = content_of(folder)
    content["values"] = [{**one, **value} if value else value for one in content["values"]]
    (folder / ".index").write_bytes(written(content))
    aged(folder)
    assert status(folder) == first


def test_an_index_that_was_sent_with_a_folder_is_ignored(folder, tmp_path):
    """It may say anything, but not which inodes and times the files have on another disk."""
    indexed(folder)
    shutil.copytree(folder, tmp_path / "sent")
    content = content_of(folder)
    content["values"] = [{**one, "trainings_done": 9} for one in content["values"]]
    (tmp_path / "sent" / ".index").write_bytes(written({**content, "asked": []}))
    aged(tmp_path / "sent")
    assert status(tmp_path / "sent") == without_index(tmp_path / "sent") == without_index(folder)


def test_nesting_has_a_bound(folder):
    first = indexed(folder)
    (folder / ".index").write_bytes(written(b'{"campaign": ' + b"[" * 200_000))
    assert status(folder) == first


@pytest.mark.parametrize("there", ["fifo", "folder", "link"])
def test_something_else_in_its_place_is_ignored(folder, there):
    place = folder / ".index"
    {"fifo": os.mkfifo, "folder": os.mkdir, "link": lambda path: path.symlink_to("/dev/zero")}[there](place)
    assert status(folder) == without_index(folder)


def test_a_folder_that_cannot_be_written_to_is_read_all_the_same(folder, monkeypatch):
    def refuse(*_):
        raise DiskError("the file system is read-only")

    monkeypatch.setattr(index_module, "replace_file", refuse)
    assert status(folder) == without_index(folder)
    assert not (folder / ".index").exists()


def test_few_runs_have_no_index(folder, monkeypatch):
    monkeypatch.setattr(MODULE, "FEWEST_RUNS", 100)
    status(folder)
    assert not (folder / ".index").exists()


def test_a_folder_that_was_moved_gives_its_new_paths(folder, tmp_path):
    shutil.rmtree(a_run(folder) / "cohort-000" / "round-000")
    assert str(folder) in indexed(folder)[0].why
    moved = folder.rename(tmp_path / "moved")
    assert status(moved) == without_index(moved)
    assert str(moved) in status(moved)[0].why


def test_a_campaign_file_that_is_replaced_meanwhile_is_read_again(folder, monkeypatch):
    later = to_toml(parse_campaign({**TABLE, "rounds": 2})).encode()
    read = MODULE.asked_runs

    def asked_runs(of):
        found = read(of)
        if (folder / "campaign.toml").read_bytes() != later:
            replace_file(folder / "campaign.toml", later)
        return found

    monkeypatch.setattr(MODULE, "asked_runs", asked_runs)
    found = status(folder)
    assert [one.rounds_wanted for one in found[:3]] == [3, 3, 3]
    assert found == without_index(folder)
    aged(folder)
    assert status(folder) == found


def test_several_processes_give_the_same(folder, monkeypatch):
    monkeypatch.setattr("tickets.store.forked.FEWEST", 1)
    one, two = status(folder), status(folder, processes=2)
    assert one == two == without_index(folder)


def test_a_signature_names_every_file_that_a_status_is_made_from(folder):
    found = signature(a_run(folder))
    inside = [f"cohort-000/{name}/manifest.json" for name in ("initial", "round-000", "round-001")]
    assert found is not None
    assert list(found.places) == ["cohort-000", *inside]
    assert signature(folder) is None
    assert found.digest != hashlib.sha256(b"[]").hexdigest()[:32]


def test_a_campaign_of_many_runs_ends_with_an_index(campaign_file, tmp_path):
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, rounds=0, replicates=1, sweep={"seed": [0, 1]}), out=out)
    assert (out / ".index").is_file()
    tickets.run(campaign_file(tmp_path, rounds=0, replicates=1), out=tmp_path / "one")
    assert not (tmp_path / "one" / ".index").exists()
