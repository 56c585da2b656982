"""What the log says was committed, compared with what is there."""

from __future__ import annotations

import shutil

import pytest

from tickets.store import read_events, repair, take, verify, write_round
from tickets.store.history import history, log_probes, log_round, log_unlogged, logged_rounds
from tickets.store.probed import write_tables


def test_the_event_that_a_killed_process_owes_is_written_once(campaign, cohort):
    run = cohort.parent
    assert history(run).unlogged == ((0, 1, 1),)  # the fixture wrote no event of this part
    held = take(cohort)
    log_unlogged(run, history(run).unlogged)
    assert history(run).unlogged == ((0, 1, 1),), "its process may be about to write it"
    held.release()
    for _ in range(2):
        log_unlogged(run, history(run).unlogged)
    assert next(event for event in read_events(run / "log.jsonl") if event["part"] == 1)["round"] == 1
    assert (history(run).unlogged, history(run).lost) == ((), ())
    shutil.rmtree(cohort / "round-001.1")
    assert history(run).lost == (cohort / "round-001.1",)
    assert [problem.path for problem in verify(campaign)] == [str(cohort / "round-001.1")]


def test_lines_that_are_gone_from_the_log_are_found(campaign, cohort):
    log = cohort.parent / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]))
    (problem,) = verify(campaign)
    said = "lines are missing: it does not say that cohort-000/round-001.1 and 1 more were committed"
    assert (problem.path, problem.what) == (str(log), said)
    repair(campaign, lambda: None)
    assert verify(campaign) == []


def test_one_event_may_be_missing(campaign, cohort, example):
    """As while its process is between the commit and the event."""
    log_round(cohort.parent, (0, 1, 1))
    assert verify(campaign) == []
    write_round(cohort, example.record(example.config(rewind={"step": 7}), [0, 1], 2, 1, [("reinit", 2)]))
    assert verify(campaign) == []


@pytest.mark.parametrize("gone", [True, False])
def test_tables_that_were_measured_afterwards_and_are_gone_are_found(campaign, cohort, example, gone):
    log_round(cohort.parent, (0, 1, 1))
    run = example.config(rewind={"step": 7})
    curves, _ = example.tables(run, [example.arm(run, 0, 1, "ticket", 0)], 1)
    folder = write_tables(cohort, 1, 0, {"units": example.units(curves)}, {"units": {"name": "units", "options": {}}})
    log_probes(folder)
    assert verify(campaign) == []
    if gone:
        shutil.rmtree(folder)
    else:
        (folder / "units.parquet").unlink()
    path = folder if gone else folder / "units.parquet"
    assert [problem.path for problem in verify(campaign)] == [str(path)]
    assert any("`tickets probe` measures it again" in line for line in repair(campaign, lambda: None))
    assert verify(campaign) == []
    assert logged_rounds(cohort.parent) == {(0, 0, 0), (0, 1, 0), (0, 1, 1), (0, 2, 0)}
