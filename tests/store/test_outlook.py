"""The time that a campaign still needs, by what each density has cost, and who is at work."""

from __future__ import annotations

import json
import os
import time

import pytest

from tickets.command_line.watching import lines_of, spoken, watch
from tickets.config import parse_campaign
from tickets.store import append_event, holder_of, read_events, run_folders, status, take
from tickets.store.holder import Progress
from tickets.store.outlook import outlook
from tickets.store.plan import plan
from tickets.store.time_left import costs_in, seconds_of

CAMPAIGN = {
    "name": "costs",
    "replicates": 2,
    "rounds": 4,
    "data": "digits",
    "model": {"name": "mlp", "widths": [8]},
    "arms": ["ticket", {"name": "reinit", "draws": 2}],
    "train": {"steps": 20, "batch_size": 50, "learning_rate": 1e-2},
}


def event(number, density, seconds, networks=6, **more):
    return {"event": "round", "cohort": 0, "round": number, "density": density, "networks": networks} | {
        "seconds": seconds,
        **more,
    }


@pytest.fixture
def log(tmp_path):
    def write(*events):
        for one in events:
            append_event(tmp_path / "log.jsonl", one)
        return tmp_path / "log.jsonl"

    return write


def run_of(**changes):
    (run,) = parse_campaign({**CAMPAIGN, **changes}).runs
    return run


def test_rounds_that_were_measured_cost_what_they_cost(log):
    costs = costs_in([log(event(0, 1.0, 60.0), event(0, 1.0, 120.0), event(1, 0.8, 30.0))])
    assert costs == {0: [(1.0, 10.0), (1.0, 20.0)], 1: [(0.8, 5.0)]}
    run = run_of(rounds=1)
    assert seconds_of(run, plan(run, ()), costs) == pytest.approx(6 * 15.0 + 6 * 5.0)


def test_others_cost_what_a_line_through_the_densities_says(log):
    # 10 d + 2 seconds a network; three trainings of two replicates in each of the rounds 2 to 4.
    costs = costs_in([log(event(0, 1.0, 6 * 12.0), event(1, 0.8, 6 * 10.0))])
    run = run_of()
    densities = [0.8 * 0.8**number for number in (1, 2, 3)]
    expected = 6 * 12.0 + 6 * 10.0 + sum(6 * (10 * density + 2) for density in densities)
    assert seconds_of(run, plan(run, ()), costs) == pytest.approx(expected)
    named = run_of(prune={"densities": [0.5, 0.1]}, rounds=2)
    assert seconds_of(named, plan(named, ()), costs) == pytest.approx(6 * 12.0 + 6 * 10.0 + 6 * (10 * 0.1 + 2))


def test_where_only_one_density_was_measured_all_cost_the_same(log):
    run = run_of()
    assert seconds_of(run, plan(run, ()), costs_in([log(event(0, 1.0, 6.0))])) == pytest.approx(5 * 6 * 1.0)


def test_no_line_goes_below_nothing(log):
    costs = costs_in([log(event(0, 1.0, 600.0), event(1, 0.8, 6.0))])
    run = run_of()
    assert seconds_of(run, plan(run, ()), costs) == pytest.approx(600.0 + 6.0)


@pytest.mark.parametrize(
    "changes",
    [{"density": None}, {"density": 0}, {"density": 1.5}, {"networks": 0}, {"networks": "6"}, {"seconds": -1},
     {"round": -1}, {"round": True}, {"density": "1"}, {"seconds": [1]}, {"seconds": 10**400}],
)  # fmt: skip
def test_events_of_another_form_are_left_out(changes, log):
    assert costs_in([log({**event(0, 1.0, 6.0), **changes})]) == {}


def test_logs_of_earlier_versions_and_lost_ones_foretell_nothing(log, tmp_path):
    old = log({"event": "round", "cohort": 0, "round": 0, "part": 0, "seconds": 1.0})
    assert costs_in([old, tmp_path / "lost"]) == {}
    run = run_of()
    assert seconds_of(run, plan(run, ()), {}) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5000, "83 min"), (7200, "2.0 h"), (2e5, "2.3 days")],
)
def test_durations(seconds, said):
    assert spoken(seconds) == said


@pytest.fixture
def in_part(campaign_file, command, tmp_path):
    """A campaign of two runs of which one lacks its last round, and a function that brings the round back."""
    file, out = campaign_file(tmp_path, rounds=2, sweep={"seed": [0, 1]}), tmp_path / "out"
    assert command("run", file, "--out", out).code == 0
    last = run_folders(out)[0] / "cohort-000" / "round-002"
    away = last.rename(tmp_path / "away")
    return out, lambda: away.rename(last)


def test_who_is_at_work_and_what_is_left(in_part, command, monkeypatch):
    out, _ = in_part
    found = status(out)
    assert [one.state for one in found] == ["partial", "done"]
    monkeypatch.setenv("TICKETS_LEASE_SECONDS", "1")  # so that it is renewed soon
    cohort = run_folders(out)[0] / "cohort-000"
    lease = take(cohort)
    try:
        lease.progress = Progress(time.time() - 100, 2, 30, 60)
        while holder_of(cohort).progress is None:
            time.sleep(0.01)
        going_on = outlook(out, found)
        one, other = json.loads(command("status", out, "--json").out)
        printed = command("status", out).out
    finally:
        lease.release()
    (working,) = one["at_work"]
    assert (working["cohort"], working["process"], working["round"]) == (0, os.getpid(), 2)
    assert (working["steps_done"], working["steps"], working["job"]) == (30, 60, None)
    assert (other["at_work"], other["seconds_left"]) == ([], None)
    logged = [event for event in read_events(out / one["run"] / "log.jsonl") if event["event"] == "round"]
    assert one["seconds_left"] == pytest.approx(logged[2]["seconds"], rel=1e-6)
    said = lines_of(going_on)
    assert said[0].startswith(f"{one['run']}/cohort-000: process {os.getpid()} on ")
    assert said[0].endswith(", round 2, 50% of its steps")
    assert said[1].endswith("left for 1 worker, by what each density has cost so far")
    assert all(line in printed for line in said)
    assert outlook(out, status(out)).working == []


def test_watching_ends_when_all_is_trained(in_part, capsys):
    out, bring_back = in_part
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 2:
            bring_back()

    capsys.readouterr()
    assert [one.state for one in watch(out, 3.0, sleep)] == ["done", "done"]
    assert looks == [3.0, 3.0]
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2  # a line where something has changed
    assert "2 runs: 1 done, 1 partial; " in printed[0]
    assert "2 runs: 2 done; " in printed[1]


def test_watching_one_that_is_done_ends_at_once_and_needs_no_json(campaign_file, command, tmp_path):
    file, out = campaign_file(tmp_path, rounds=0), tmp_path / "out"
    assert command("run", file, "--out", out).code == 0
    said = command("status", out, "--watch")
    assert said.code == 0
    assert "1 run: 1 done; " in said.out
    assert command("status", out, "--watch", "--json").code == 2
