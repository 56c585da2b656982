"""The kept `rounds` of many runs: quicker, and never another table than the runs' files give."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time

import pandas as pd
import pytest
from tiny_campaigns import EXAMPLE

import tickets
from tickets.config import parse_campaign, run_id, to_toml
from tickets.errors import DiskError, InputError
from tickets.store import known_rounds as module
from tickets.store import replace_file
from tickets.store.known_rounds import KnownRounds

TABLE = {**EXAMPLE, "rounds": 1, "arms": EXAMPLE["arms"][:2], "sweep": {"seed": [0, 1, 2]}}


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch):
    monkeypatch.setattr("tickets.store.known_runs.FEWEST_RUNS", 2)


def campaign_in(folder, example):
    campaign = parse_campaign(TABLE)
    for run in campaign.runs:
        example.named(run_id(run)).write(folder / run_id(run), run)
    replace_file(folder / "campaign.toml", to_toml(campaign).encode())
    return folder


@pytest.fixture
def folder(example, tmp_path):
    return campaign_in(tmp_path / "campaign", example)


@pytest.fixture(scope="module")
def kept_folder(example, tmp_path_factory):
    """A folder whose rows are kept; what a test changes it puts back."""
    folder = campaign_in(tmp_path_factory.mktemp("kept") / "campaign", example)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tickets.store.known_runs.FEWEST_RUNS", 2)
        kept(folder)
    return folder


def from_files(folder, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tickets.store.known_runs.FEWEST_RUNS", 10**9)
        return tickets.load(folder, **options)


def kept(folder):
    """The folder with rows that are trusted: as if they had been written so much later than everything else."""
    first = tickets.load(folder).rounds
    aged(folder)
    return first


def aged(folder, seconds=60):
    at = time.time() + seconds
    os.utime(folder / ".rounds", (at, at))


def runs_in(folder):
    return sorted(path.parent for path in folder.glob("*/run.json"))


@pytest.fixture
def read(monkeypatch):
    """The names of the runs of which a file is opened."""
    found = set()
    for name in ("read_checked", "read_manifest"):
        for part in ("gathering", "reading"):
            before = getattr(sys.modules[f"tickets.store.{part}"], name, None)
            if before is not None:

                def reading(place, *rest, before=before):
                    found.add(place.parent.parent.name)
                    return before(place, *rest)

                monkeypatch.setattr(f"tickets.store.{part}.{name}", reading)
    return found


def test_what_did_not_change_is_not_read_again(folder, read):
    first = kept(folder)
    pd.testing.assert_frame_equal(first, from_files(folder).rounds)
    read.clear()
    before = (folder / ".rounds").read_bytes()
    saved = tickets.load(folder)
    pd.testing.assert_frame_equal(saved.rounds, first)
    assert saved.runs == [path.name for path in runs_in(folder)]
    assert read == set()
    assert (folder / ".rounds").read_bytes() == before
    # What is asked for beside the rows is read then.
    pd.testing.assert_frame_equal(saved.curves, from_files(folder).curves)
    assert saved.config(saved.runs[1]) == from_files(folder).config(saved.runs[1])
    pd.testing.assert_frame_equal(saved.configs, from_files(folder).configs)


CHANGES = {
    "a table is written anew": lambda run: rewritten(run / "cohort-000" / "round-000" / "rounds.parquet"),
    "curves are written anew": lambda run: rewritten(run / "cohort-000" / "round-001" / "curves.parquet"),
    "a manifest is written anew": lambda run: rewritten(run / "cohort-000" / "round-001" / "manifest.json"),
    "run.json is written anew": lambda run: rewritten(run / "run.json"),
    "the log has grown": lambda run: (run / "log.jsonl").write_bytes(b"{}\n"),
    "a round is gone": lambda run: shutil.rmtree(run / "cohort-000" / "round-001"),
    "a table is another's, with its old times": lambda run: replaced(
        run / "cohort-000" / "round-000" / "rounds.parquet"
    ),
}


def rewritten(path):
    path.write_bytes(path.read_bytes())


def replaced(path):
    found = path.stat()
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_that_changed_is_read_again_and_no_other(folder, change, read):
    kept(folder)
    changed = runs_in(folder)[1]
    CHANGES[change](changed)
    aged(folder, 3600)
    read.clear()
    found = tickets.load(folder).rounds
    assert read == {changed.name}
    pd.testing.assert_frame_equal(found, from_files(folder).rounds)
    aged(folder, 3600)
    read.clear()
    pd.testing.assert_frame_equal(tickets.load(folder).rounds, found)
    assert read == set()


def test_a_change_soon_after_the_file_was_written_may_have_the_same_times(folder, read):
    tickets.load(folder).rounds  # noqa: B018 (it is read)
    read.clear()
    tickets.load(folder).rounds  # noqa: B018
    assert read == {path.name for path in runs_in(folder)}


def test_runs_come_and_go(folder, tmp_path):
    kept(folder)
    one = runs_in(folder)[0]
    one.rename(tmp_path / "away")
    pd.testing.assert_frame_equal(tickets.load(folder).rounds, from_files(folder).rounds)
    aged(folder)
    (tmp_path / "away").rename(one)
    pd.testing.assert_frame_equal(tickets.load(folder).rounds, from_files(folder).rounds)


def test_two_folders_of_one_run_are_still_an_error(folder):
    kept(folder)
    shutil.copytree(runs_in(folder)[0], folder / "copy")
    with pytest.raises(InputError, match="both hold run"):
        tickets.load(folder)


def test_a_damaged_run_is_left_out_and_not_kept(folder):
    kept(folder)
    damaged = runs_in(folder)[1]
    (damaged / "cohort-000" / "round-000" / "rounds.parquet").write_bytes(b"x")
    for _ in range(2):
        aged(folder, 3600)
        saved = tickets.load(folder, skip_damaged=True)
        pd.testing.assert_frame_equal(saved.rounds, from_files(folder, skip_damaged=True).rounds)
        assert list(saved.damaged) == [damaged.name]
        with pytest.raises(InputError, match=r"rounds\.parquet"):
            tickets.load(folder).rounds  # noqa: B018


def content_of(folder):
    line, _, parquet = (folder / ".rounds").read_bytes().partition(b"\n")[2].partition(b"\n")
    return json.loads(line), parquet


def written(about, parquet):
    body = (about if isinstance(about, bytes) else json.dumps(about).encode()) + b"\n" + parquet
    return module._head(body) + body


def test_a_damaged_file_is_ignored_and_made_anew(folder):
    first = kept(folder)
    whole = (folder / ".rounds").read_bytes()
    for place in range(0, len(whole), 331):
        (folder / ".rounds").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert KnownRounds(folder)._table is None
    for damaged in (b"", whole[:-1], whole + b" ", b"\n", b"[" * 10**6):
        (folder / ".rounds").write_bytes(damaged)
        pd.testing.assert_frame_equal(tickets.load(folder).rounds, first)
        aged(folder)
        assert KnownRounds(folder).find(runs_in(folder)[0]) is not None


@pytest.mark.parametrize("key", ["seconds", "rows", "arms", "places", "runs"])
@pytest.mark.parametrize("value", [None, 3, "x", [3], [[3]], {"a": 3}, {"a": ["x", "y", 9, 9]}, -(10**400)])
def test_one_of_another_form_is_ignored(kept_folder, key, value):
    about, parquet = content_of(kept_folder)
    (kept_folder / ".rounds").write_bytes(written({**about, key: value}, parquet))
    aged(kept_folder)
    found = KnownRounds(kept_folder).find(runs_in(kept_folder)[0])
    (kept_folder / ".rounds").write_bytes(written(about, parquet))
    assert (found is None) == ((key, value) != ("seconds", 3))


def test_a_table_of_another_form_is_ignored(folder):
    first = kept(folder)
    about, _ = content_of(folder)
    other = next(folder.glob("*/cohort-000/round-000/rounds.parquet")).read_bytes()  # without what is computed
    for parquet in (other, b"", b"PAR1" * 100):
        (folder / ".rounds").write_bytes(written(about, parquet))
        aged(folder)
        pd.testing.assert_frame_equal(tickets.load(folder).rounds, first)


def test_one_that_was_sent_with_a_folder_is_ignored(folder, tmp_path):
    kept(folder)
    shutil.copytree(folder, tmp_path / "sent")
    aged(tmp_path / "sent")
    assert KnownRounds(tmp_path / "sent").find(runs_in(tmp_path / "sent")[0]) is None


@pytest.mark.parametrize("there", ["fifo", "folder", "link"])
def test_something_else_in_its_place_is_ignored(folder, there):
    place = folder / ".rounds"
    {"fifo": os.mkfifo, "folder": os.mkdir, "link": lambda path: path.symlink_to("/dev/zero")}[there](place)
    pd.testing.assert_frame_equal(tickets.load(folder).rounds, from_files(folder).rounds)


def test_a_folder_that_cannot_be_written_to_is_read_all_the_same(folder, monkeypatch):
    def refuse(*_):
        raise DiskError("the file system is read-only")

    monkeypatch.setattr(module, "replace_file", refuse)
    pd.testing.assert_frame_equal(tickets.load(folder).rounds, from_files(folder).rounds)
    assert not (folder / ".rounds").exists()


def test_few_runs_and_several_folders_have_none(folder, monkeypatch, tmp_path):
    shutil.copytree(runs_in(folder)[0], tmp_path / "other" / "run")
    shutil.rmtree(runs_in(folder)[0])
    tickets.load([folder, tmp_path / "other"]).rounds  # noqa: B018
    monkeypatch.setattr("tickets.store.known_runs.FEWEST_RUNS", 100)
    tickets.load(folder).rounds  # noqa: B018
    assert not (folder / ".rounds").exists()


def test_a_round_that_was_committed_after_loading_is_in_no_table(folder, tmp_path):
    last = runs_in(folder)[0] / "cohort-000" / "round-001"
    away = last.rename(tmp_path / "away")
    kept(folder)
    saved = tickets.load(folder)
    away.rename(last)
    keys = ["run", "replicate", "round", "arm", "draw"]
    assert set(saved.rounds.set_index(keys).index) == set(saved.curves.set_index(keys).index)
