"""The claim that every run has, and when its rule was first seen."""

import json

import pytest
from resealed import write_sealed
from tickets.analysis import rules_of, winning
from tickets.analysis.claims import COLUMNS, claims
from tickets.analysis.messages import paragraphs

import tickets

CONTRACT = [
    "run", "id", "says", "answer", "density", "metric", "estimate", "low", "high", "n", "published", "agrees",
    "registered", "why",
]  # fmt: skip


def test_the_answer_is_that_of_winning(campaign_file, tmp_path, command):
    saved = tickets.run(campaign_file(tmp_path, replicates=3, verdict={"density": 0.6}), out=tmp_path / "out")
    (one,) = winning(saved.rounds, rules_of(saved))
    assert COLUMNS == CONTRACT
    (row,) = json.loads(command("claims", tmp_path / "out", "--json").out, parse_constant=pytest.fail)
    assert list(row) == CONTRACT
    assert (row["run"], row["id"], row["answer"]) == (one.run, "winning_ticket", one.answer)
    assert row["density"] == one.density == pytest.approx(0.64, abs=0.01)
    estimate = one.criteria[0].estimate
    assert (row["estimate"], row["low"], row["high"], row["n"]) == (estimate.value, estimate.low, estimate.high, 3)
    assert (row["metric"], row["published"], row["agrees"]) == ("early_stop_test_accuracy", None, None)
    assert row["says"] == "the ticket is a winning one at density 0.6"
    assert row["why"].splitlines() == paragraphs(one)
    said = command("claims", tmp_path / "out")
    assert (said.code, said.err) == (0, "")
    assert "winning_ticket" in said.out
    lines = [line for line in said.out.splitlines() if line.startswith("  ")]
    assert len(lines) >= len(paragraphs(one))  # a line each, which may wrap
    assert "before training" in said.out


def test_when_the_rule_was_written_is_said(campaign_file, tmp_path):
    def registered(**changes):
        saved = tickets.run(campaign_file(tmp_path, **changes), out=tmp_path / "out")
        return claims(saved)["registered"].tolist()

    assert registered(rounds=1) == ["before training"]
    assert registered(rounds=2) == ["before training"]  # more rounds, the same rule
    assert registered(verdict={"density": 0.6}) == ["after 3 rounds"]
    assert registered(verdict={"density": 0.8}) == ["after 3 rounds"]
    assert registered() == ["before training"]  # back to the one that was there first


def test_a_changed_rule_trains_nothing_and_is_another_answer(campaign_file, tmp_path, watcher):
    tickets.run(campaign_file(tmp_path), out=tmp_path / "out")
    watched = watcher()
    saved = tickets.run(campaign_file(tmp_path, verdict={"density": 0.6}), out=tmp_path / "out", listener=watched)
    assert watched.promised == 0
    assert rules_of(saved)[saved.runs[0]].density == 0.6
    (record, other) = json.loads((tmp_path / "out" / saved.runs[0] / "run.json").read_text())["registered"]
    assert (record["rounds_seen"], other["rounds_seen"]) == (0, 3)
    assert record["sha256"] != other["sha256"]


def test_a_run_that_was_saved_before_rules_were_recorded_has_seen_all_its_rounds(campaign_file, tmp_path):
    saved = tickets.run(campaign_file(tmp_path), out=tmp_path / "out")
    path = tmp_path / "out" / saved.runs[0] / "run.json"
    file = json.loads(path.read_text())
    del file["registered"], file["config"]["verdict"]
    write_sealed(path, file)
    assert claims(tickets.load(tmp_path / "out"))["registered"].tolist() == ["after 3 rounds"]
