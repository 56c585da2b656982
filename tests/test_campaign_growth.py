"""A campaign that gets more replicates, rounds, arms or runs: what is saved stays, and only what is new is trained."""

from __future__ import annotations

import json

import numpy as np
import pytest
from resealed import write_sealed
from tiny_campaigns import VARIANTS, committed

import tickets
from tickets.store import run_folders, status, verify


def grow(file, out, watcher, **changes):
    """Run the changed campaign; what it trained, after checking that nothing old was touched."""
    before = committed(out)
    listener = watcher()
    tickets.run(file, out=out, listener=listener)
    after = committed(out)
    assert {path: after[path] for path in before} == before
    assert listener.networks == listener.promised
    return listener


def test_more_replicates_are_a_new_cohort_with_the_streams_they_always_have(campaign_file, watcher, contents, tmp_path):
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path), out=out)
    listener = grow(campaign_file(tmp_path, replicates=3), out, watcher)
    assert listener.trained == ["cohort-001/round-000", "cohort-001/round-001", "cohort-001/round-002"]
    assert listener.networks == 1 * 3 * 4 * 20
    at_once = tickets.run(campaign_file(tmp_path, replicates=3), out=tmp_path / "at-once")
    grown = tickets.load(out)
    for name in ("ticket", "reinit", "random_mask"):
        ours, theirs = grown.arm(name, 2, 0), at_once.arm(name, 2, 0)
        assert all(np.array_equal(ours.values[key], theirs.values[key]) for key in theirs.values)
    assert sorted(grown.rounds["replicate"].unique()) == [0, 1, 2]
    assert verify(out) == []


def test_more_rounds_are_those_of_a_campaign_that_had_them_from_the_start(
    uninterrupted, campaign_file, watcher, contents, tmp_path
):
    _, wanted = uninterrupted("rewind")
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, **VARIANTS["rewind"], rounds=0), out=out)
    listener = grow(campaign_file(tmp_path, **VARIANTS["rewind"], rounds=1), out, watcher)
    assert listener.trained == ["cohort-000/round-001"]
    listener = grow(campaign_file(tmp_path, **VARIANTS["rewind"]), out, watcher)
    assert listener.trained == ["cohort-000/round-002"]
    assert listener.networks == 2 * 4 * (20 - 5)
    assert contents(out) == wanted


def test_fewer_rounds_or_replicates_train_nothing_and_lose_nothing(campaign_file, watcher, tmp_path):
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path), out=out)
    listener = grow(campaign_file(tmp_path, rounds=1, replicates=1), out, watcher)
    assert listener.rounds == []


@pytest.mark.parametrize("step", [0, 5])
def test_an_arm_added_later_has_the_masks_and_values_of_its_rounds(step, campaign_file, watcher, tmp_path):
    few = {"arms": ["ticket"], "rewind": {"step": step}}
    more = {"arms": ["ticket", "constant", "random_mask"], "rewind": {"step": step}}
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, **few), out=out)
    listener = grow(campaign_file(tmp_path, **more), out, watcher)
    assert listener.trained == [f"cohort-000/round-{number:03d}.1" for number in range(3)]
    assert listener.networks == 2 * 2 * (20 + 2 * (20 - step))
    grown = tickets.load(out)
    at_once = tickets.run(campaign_file(tmp_path, **more), out=tmp_path / "at-once")
    for number in range(3):
        ticket, constant = grown.ticket(1, number), grown.arm("constant", 1, number)
        assert all(np.array_equal(ticket.mask[key], constant.mask[key]) for key in ticket.mask)
        assert set(np.unique(constant.values["1.weight"])) <= {0.0, 0.5}
        ours, theirs = grown.arm("random_mask", 1, number), at_once.arm("random_mask", 1, number)
        counts = [int(mask.sum()) for mask in theirs.mask.values()]
        assert [int(mask.sum()) for mask in ours.mask.values()] == counts
        if number == 0:
            assert all(np.array_equal(ours.values[key], theirs.values[key]) for key in ours.values)
    assert verify(out) == []


def test_draws_added_later_are_further_ones(campaign_file, watcher, tmp_path):
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, arms=["ticket", "reinit"]), out=out)
    listener = grow(campaign_file(tmp_path, arms=["ticket", {"name": "reinit", "draws": 3}]), out, watcher)
    assert listener.networks == 2 * 3 * 2 * 20
    rounds = tickets.load(out).rounds
    assert (
        rounds[rounds["arm"] == "reinit"].groupby(["replicate", "round"])["draw"].apply(list).tolist()
        == [[0, 1, 2]] * 6
    )
    values = [tickets.load(out).arm("reinit", 0, 1, draw).values["1.weight"] for draw in range(3)]
    assert len({value.tobytes() for value in values}) == 3


def test_everything_at_once_can_be_added(campaign_file, watcher, tmp_path):
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, arms=["ticket"], rounds=1, replicates=1), out=out)
    listener = grow(campaign_file(tmp_path, rounds=2, replicates=2), out, watcher)
    assert listener.trained == [
        "cohort-000/round-000.1", "cohort-000/round-001.1", "cohort-000/round-002",
        "cohort-001/round-000", "cohort-001/round-001", "cohort-001/round-002",
    ]  # fmt: skip
    assert [one.state for one in status(out)] == ["done"]
    assert verify(out) == []
    assert grow(campaign_file(tmp_path, rounds=2, replicates=2), out, watcher).rounds == []


def test_a_sweep_of_two_points_is_two_runs(campaign_file, watcher, tmp_path):
    out, listener = tmp_path / "out", watcher()
    file = campaign_file(tmp_path, rounds=0, sweep={"train.learning_rate": [0.1, 0.01]})
    saved = tickets.run(file, out=out, listener=listener)
    assert len(saved.runs) == len(run_folders(out)) == 2
    assert {saved.config(run)["train"]["learning_rate"] for run in saved.runs} == {0.1, 0.01}
    # A point that is added is trained alone.
    file = campaign_file(tmp_path, rounds=0, sweep={"train.learning_rate": [0.1, 0.01, 0.001]})
    assert len(grow(file, out, watcher).rounds) == 1
    assert len(tickets.load(out).runs) == 3


def test_a_run_goes_on_as_it_began_unless_the_file_says_otherwise(campaign_file, watcher, tmp_path):
    out = tmp_path / "out"
    saved = tickets.run(campaign_file(tmp_path, rounds=0), out=out)
    run_json = out / saved.runs[0] / "run.json"
    began = json.loads(run_json.read_bytes())
    # As if it had begun on another machine, with another plan.
    began["execution"]["networks_at_once"] = 3
    began["fingerprint"]["packages"]["numpy"] = "0.0.1"
    write_sealed(run_json, began)
    listener = grow(campaign_file(tmp_path, rounds=1), out, watcher)
    prunable, elsewhere = listener.said
    assert "began on another machine or with other packages (numpy 0.0.1, now " in elsewhere
    assert prunable == "model mlp: prunable: all 592 weights, in 2 tensors"
    now = json.loads(run_json.read_bytes())
    assert (now["execution"], now["fingerprint"]) == (began["execution"], began["fingerprint"])
    assert now["config"]["rounds"] == 1
    # No text where nothing is added.
    assert grow(campaign_file(tmp_path, rounds=1), out, watcher).said == []
    grow(campaign_file(tmp_path, rounds=1, compute={"strategy": "looped"}), out, watcher)
    assert json.loads(run_json.read_bytes())["execution"]["strategy"] == "looped"
