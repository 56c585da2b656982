"""From the plan of what is missing to what is committed."""

from __future__ import annotations

import numpy as np
import pytest

import tickets
from tickets.cohort import steps_missing
from tickets.config import parse_run
from tickets.roles import arm_starts
from tickets.store import CohortPlan, RoundPlan, missing, read_events, read_manifest, read_next_masks, run_folders


def a_run(**changes):
    table = {"name": "x", "replicates": 3, "rounds": 2, "data": "digits", "model": "mlp", "arms": ["ticket"]}
    return parse_run({**table, "train": {"steps": 100}, **changes})


def starts_of(run):
    return arm_starts({"config": run.model_dump(mode="json")})


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, 3 * 3 * 100),
        ({"arms": ["ticket", {"name": "reinit", "draws": 4}]}, 3 * 3 * 5 * 100),
        ({"rewind": {"step": 30}}, 3 * (100 + 2 * 70)),
        ({"rewind": {"step": 30}, "arms": ["ticket", {"name": "constant", "start": 0}]}, 3 * (100 + 140 + 300)),
        ({"rounds": 0}, 3 * 100),
    ],
)
def test_the_steps_that_are_missing_are_counted_over_all_networks(changes, wanted, tmp_path):
    run = a_run(**changes)
    (cohort,) = missing(run, tmp_path / "nothing")
    assert steps_missing(cohort, starts_of(run)) == wanted


def test_only_what_a_part_lacks_is_counted():
    run = a_run(rewind={"step": 30}, arms=["ticket", "constant"])
    plan = CohortPlan(0, (0, 1), True, (RoundPlan(0, 1, (("constant", 0),)), RoundPlan(1, 1, (("constant", 0),))))
    assert steps_missing(plan, starts_of(run)) == 2 * (100 + 70)
    assert steps_missing(CohortPlan(0, (0, 1), True, ()), starts_of(run)) == 0


@pytest.fixture
def saved(campaign_file, watcher, tmp_path):
    listener = watcher()
    file = campaign_file(tmp_path, rewind={"step": 5}, store={"trained": "ticket"})
    return tickets.run(file, out=tmp_path / "out", listener=listener), listener


def cohort_of(saved):
    return run_folders(saved.folder)[0] / "cohort-000"


def test_what_is_told_of_a_round_is_what_is_in_its_table(saved):
    saved, listener = saved
    for number, done in enumerate(listener.rounds):
        rows = saved.rounds[saved.rounds["round"] == number]
        assert done.folder == f"cohort-000/round-{number:03d}"
        assert done.run == saved.runs[0]
        assert list(done.accuracy) == ["ticket", "reinit", "random_mask"]
        for arm, accuracy in done.accuracy.items():
            assert accuracy == pytest.approx(rows[rows["arm"] == arm]["early_stop_test_accuracy"].mean())
        assert done.density == pytest.approx(rows[rows["arm"] == "ticket"]["density"].mean())
        assert done.diverged == 0
        assert done.seconds == pytest.approx(rows["seconds"].sum())


def test_the_log_has_a_line_for_each_start_and_each_round(saved):
    saved, listener = saved
    events = list(read_events(run_folders(saved.folder)[0] / "log.jsonl"))
    assert [event["event"] for event in events] == ["started", "round", "round", "round"]
    assert events[0]["fingerprint"]["threads"] == 1
    assert [(event["cohort"], event["round"], event["part"]) for event in events[1:]] == [(0, n, 0) for n in range(3)]
    assert [event["seconds"] for event in events[1:]] == [round(done.seconds, 3) for done in listener.rounds]


def test_each_manifest_says_how_its_arms_were_trained_and_with_what(saved):
    saved, _ = saved
    manifest = read_manifest(cohort_of(saved) / "round-001")
    assert manifest["arm_options"] == {
        name: {"start": None, "value": None} for name in ("ticket", "reinit", "random_mask")
    }
    assert manifest["fingerprint"]["threads"] == 1


def test_the_masks_of_a_round_are_those_that_the_round_before_announced(saved):
    saved, _ = saved
    for number in (1, 2):
        announced = read_next_masks(cohort_of(saved) / f"round-{number - 1:03d}")
        for replicate, masks in announced.items():
            ticket = saved.ticket(replicate, number)
            assert all(np.array_equal(masks[name], ticket.mask[name]) for name in masks)


def test_only_the_arms_that_the_campaign_keeps_have_trained_values(saved, campaign_file, tmp_path):
    assert saved[0].ticket(0, 1).trained is not None
    assert saved[0].arm("reinit", 0, 1).trained is None
    kept_all = tickets.run(campaign_file(tmp_path, rounds=0, store={"trained": "all"}), out=tmp_path / "all")
    assert kept_all.arm("reinit", 0, 0, draw=1).trained is not None
    kept_none = tickets.run(campaign_file(tmp_path, rounds=0, store={"trained": "none"}), out=tmp_path / "none")
    assert kept_none.ticket(0, 0).trained is None


def test_a_training_that_diverged_is_recorded_with_nan_and_told(campaign_file, watcher, tmp_path):
    listener = watcher()
    arms = ["ticket", {"name": "constant", "value": 1e30}]
    saved = tickets.run(campaign_file(tmp_path, rounds=1, arms=arms), out=tmp_path / "out", listener=listener)
    rows = saved.rounds[saved.rounds["arm"] == "constant"]
    assert rows["diverged"].all()
    assert rows[["early_stop_test_accuracy", "final_test_accuracy", "final_test_loss"]].isna().all(axis=None)
    assert not saved.rounds[saved.rounds["arm"] == "ticket"]["diverged"].any()
    assert [done.diverged for done in listener.rounds] == [2, 2]
    assert np.isnan(listener.rounds[0].accuracy["constant"])


def test_a_ticket_that_diverged_stays_diverged_when_its_chain_is_read_back(
    campaign_file, watcher, monkeypatch, tmp_path
):
    # Its later masks say nothing, whatever the later trainings come to.
    file, out = campaign_file(tmp_path, train={"learning_rate": 1e6}, arms=["ticket"]), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        tickets.run(file, out=out, listener=watcher(stop=(1, 0)))
    read_back = []

    def train_round(setting, run, chains, *_):
        read_back.extend(chains)
        raise KeyboardInterrupt

    monkeypatch.setattr("tickets.cohort.train_round", train_round)
    with pytest.raises(KeyboardInterrupt):
        tickets.run(file, out=out)
    assert [(chain.replicate, chain.diverged) for chain in read_back] == [(0, True), (1, True)]


def test_values_that_were_damaged_stop_the_campaign(campaign_file, tmp_path):
    file, out = campaign_file(tmp_path, rounds=0), tmp_path / "out"
    tickets.run(file, out=out)
    (values,) = out.glob("*/cohort-000/initial/values.safetensors")
    content = bytearray(values.read_bytes())
    content[-1] ^= 1
    values.write_bytes(content)
    with pytest.raises(tickets.InputError, match=r"values\.safetensors"):
        tickets.run(campaign_file(tmp_path, rounds=1), out=out)
    assert not list(out.glob("*/cohort-000/round-001"))
