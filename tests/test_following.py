"""The rounds that other processes commit are told as if they had been trained here, each once."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pandas as pd
import pytest

import tickets
from tickets.following import Following
from tickets.listener import Note, RoundDone

SMALL = {"replicates": 2, "cohort_size": 1, "rounds": 1, "arms": ["ticket", "reinit"], "rewind": {"step": 5}}


@pytest.fixture
def trained(campaign_file, tmp_path):
    """The pieces of work of a campaign, which do not know that it is trained; and the rounds as they were told."""
    file, works, events = campaign_file(tmp_path, **SMALL), [], []
    with pytest.raises(RuntimeError):
        tickets.run(file, out=tmp_path / "untrained", engine=lambda given, listener: iter(works.extend(given) or ()))
    tickets.run(file, out=tmp_path / "out", listener=events.append)
    works = [replace(work, folder=tmp_path / "out" / work.run_id) for work in works]
    return works, [event for event in events if isinstance(event, RoundDone)]


def rounds_of(events):
    """The rounds in some events, without the time that they took."""
    return sorted(json.dumps(vars(replace(done, seconds=0.0))) for done in events)


def test_rounds_are_told_as_they_are_committed_and_each_once(trained, monkeypatch):
    monkeypatch.setattr("tickets.following._SHARE", 0)
    works, _ = trained
    events, kept = [], works[0].folder / "kept"
    following = Following(events.append, 0.0)
    works[0].cohort_folder.rename(kept)
    following.look(works)
    assert sorted(done.folder for done in events) == [f"cohort-001/round-00{number}" for number in (0, 1)]
    kept.rename(works[0].cohort_folder)
    following.look(works)
    following.look(works)
    assert len(events) == 4
    for done in (*events, Note("the end")):
        following(done)
    assert len(events) == 5


def test_a_round_is_told_as_the_process_that_trained_it_would(trained):
    (works, told), events = trained, []
    Following(events.append, 0.0).look(works)
    assert rounds_of(events) == rounds_of(told)
    tables = [pd.read_parquet(works[0].folder / done.folder / "rounds.parquet") for done in events]
    assert [done.seconds for done in events] == [table["seconds"].sum() for table in tables]


def test_a_round_that_cannot_be_read_is_left_to_the_report(trained):
    works, (first, *others) = trained
    events = []
    following = Following(events.append, 0.0)
    (works[0].folder / first.folder / "rounds.parquet").write_bytes(b"")
    following.look(works)
    assert rounds_of(events) == rounds_of(others)
    following(first)
    assert rounds_of(events) == rounds_of([first, *others])


def test_rounds_that_were_there_before_are_not_told(trained):
    works, told = trained
    events = []
    following = Following(events.append, 0.0)
    following.begin(works[0])
    following.look(works)
    assert rounds_of(events) == rounds_of([done for done in told if done.folder.startswith("cohort-001")])


def test_nothing_is_kept_of_work_that_has_ended(trained):
    works, _ = trained
    following = Following(lambda event: None, 0.0)
    following.look(works)
    assert set(following._told) == set(following._found) == {work.name for work in works}
    for work in works:
        following.forget(work)
    assert not following._told
    assert not following._found


def test_looking_takes_a_small_part_of_the_time(trained, monkeypatch):
    (works, _), looks = trained, []
    monkeypatch.setattr("tickets.following.os.listdir", lambda folder: looks.append(time.sleep(0.05)) or [])
    following = Following(print, 0.0)
    following.look(works)
    following.look(works)
    assert len(looks) == 2
