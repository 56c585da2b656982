"""What `--repair` moves out of the way, so that `verify` finds nothing more and the rounds can be trained again."""

from __future__ import annotations

import os

import pytest

from tickets.errors import InputError, LeaseLostError
from tickets.store import HeldError, check_whole, missing, read_events, repair, status, taken, verify
from tickets.store.history import logged_rounds


def file(path):
    path.write_text("x")


def link(path):
    path.symlink_to("set-aside-elsewhere-00000000")


@pytest.mark.parametrize("make", [file, link])
@pytest.mark.parametrize("name", ["round-002", "../cohort-000"])
def test_a_file_or_link_in_the_place_of_a_folder_is_found_refused_and_moved(make, name, campaign, cohort, example):
    path, run = cohort.parent / "cohort-000" if ".." in name else cohort / name, cohort.parent
    path.rename(path.with_name("set-aside-elsewhere-00000000"))
    make(path)
    assert str(path) in {problem.path for problem in verify(campaign)}
    todo = missing(example.config(), run, gaps=True)
    with pytest.raises(InputError, match=f"{path.name}: is no folder, and a folder of this name belongs there"):
        check_whole(run, example.config().model_dump(mode="json"), todo)
    lines = repair(campaign, lambda: None)
    assert any(line.startswith(f"{path}: is no folder") for line in lines)
    assert not os.path.lexists(path)
    assert verify(campaign) == []


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, None])
def test_a_log_that_is_lost_or_no_file_is_written_anew(make, campaign, cohort):
    log = cohort.parent / "log.jsonl"
    log.unlink(missing_ok=True)
    if make is not None:
        make(log)
    assert [problem.path for problem in verify(campaign)] == [str(log)]
    assert len(status(campaign)) == 1  # no error of the whole command
    assert repair(campaign, lambda: None)
    assert verify(campaign) == []
    assert {number for _, number, _ in logged_rounds(cohort.parent)} == {0, 1, 2}
    assert {event["event"] for event in read_events(log)} == {"round"}
    assert repair(campaign, lambda: None) == []


def test_a_damaged_campaign_file_is_moved(campaign):
    path = campaign / "campaign.toml"
    path.write_text("[[[")
    assert [problem.path for problem in verify(campaign)] == [str(path)]
    (line,) = repair(campaign, lambda: None)
    what = "its first line is not the SHA-256 of the others; moved to set-aside-campaign.toml-"
    assert line.startswith(f"{path}: {what}")
    assert verify(campaign) == []


def test_a_run_without_its_run_file_is_found(campaign, cohort):
    path = cohort.parent / "run.json"
    path.unlink()
    assert [(problem.path, problem.what) for problem in verify(campaign)] == [
        (str(path), "missing, though rounds are there")
    ]


def test_what_another_process_trains_on_is_not_moved_away(campaign, cohort):
    (cohort / "round-001" / "masks.safetensors").unlink()
    with taken(cohort), pytest.raises(HeldError, match=f"process {os.getpid()} on .* is at work in {cohort}"):
        repair(campaign, lambda: None)
    assert (cohort / "round-001").is_dir()
    assert len(repair(campaign, lambda: None)) == 2  # with the part that was added to the round
    assert not (cohort / "round-001").exists()


def test_a_repair_that_has_lost_the_lock_replaces_nothing(campaign, cohort):
    log = cohort.parent / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"round": 0', b'"round": 7', 1))
    before = log.read_bytes()

    def lost():
        raise LeaseLostError("another process has taken it over")

    with pytest.raises(LeaseLostError):
        repair(campaign, lost)
    assert log.read_bytes() == before
