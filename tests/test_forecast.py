"""What a dry run says is what the run then does; it writes nothing, and refuses what a run refuses."""

from __future__ import annotations

import importlib
import json

import pytest

import tickets
from tickets.forecast import forecast

CHANGES = {
    "replicates": 3,
    "cohort_size": 2,
    "rounds": 2,
    "rewind": {"step": 4},
    "train": {"steps": 10, "evaluate_every": 5},
    "arms": ["ticket", {"name": "reinit", "draws": 2}, {"name": "constant", "start": 0}],
    "sweep": {"seed": [0, 1]},
}


def foreseen(file, out, **options):
    return forecast(file, **{"out": out, "data": None, "settings": (), "device": "cpu", "workers": 1} | options)


def test_what_is_foreseen_is_what_is_done(campaign_file, watcher, tmp_path):
    file, out = campaign_file(tmp_path, **CHANGES), tmp_path / "out"
    folder, found = foreseen(file, out)
    assert (folder, out.exists()) == (out, False)
    assert [one.trainings for one in found] == [one.wanted for one in found] == [3 * 3 * 4] * 2
    assert all(one.seconds is None for one in found)
    listener = watcher()
    saved = tickets.run(file, out=out, listener=listener)
    assert sum(one.steps for one in found) == listener.promised == listener.networks
    assert sum(one.trainings for one in found) == len(saved.rounds)
    assert sorted(one.run for one in found) == saved.runs
    for one in found:
        run_json = saved.file(one.run)
        assert one.strategy == run_json["execution"]["strategy"]
        assert one.arms == {"ticket": 1, "reinit": 2, "constant": 1}
        assert one.prunable == {"1.weight": (8, 64), "3.weight": (10, 8)}
        assert (one.coverage.weights, one.coverage.share) == (8 * 64 + 10 * 8, 1.0)
        assert one.networks_at_once <= 2 * 4
        assert 0 < one.memory <= 0.5 * 2**30  # compute.memory_gib of the tiny campaign

    # Once it is done nothing is missing; asked for more, the time is known from what is saved.
    _, found = foreseen(file, out)
    assert [(one.trainings, one.steps, one.seconds) for one in found] == [(0, 0, 0.0)] * 2
    _, found = foreseen(file, out, settings=["replicates=4", "rounds=1"])
    for one in found:
        each = saved.rounds.loc[saved.rounds["run"] == one.run, "seconds"].mean()
        assert one.trainings == 2 * 4
        assert one.seconds == pytest.approx(8 * each)
        assert one.left_over == ["round 2 is saved and no longer in the campaign file; it stays and is shown"]


def test_the_command_prints_it_and_writes_nothing(campaign_file, command, contents, tmp_path, monkeypatch):
    file = campaign_file(tmp_path / "campaign", **CHANGES)
    monkeypatch.chdir(tmp_path)
    said = command("run", file, "--dry-run", "--set", "replicates=1")
    assert (said.code, said.err) == (0, "")
    first, *lines = said.out.splitlines()
    assert first == (
        "2 runs, 24 trainings and 192 training steps to do; dry run: nothing is trained or written "
        "(folder: runs/saved/tiny)"
    )
    for wanted in (
        "  trainings  12 of 12 are missing: 1 replicate x 3 rounds x 4 networks (ticket, reinit x 2, constant)",
        "  steps      96, counted over all networks",
        "  prunable   all 592 weights, in 2 tensors: 1.weight (8, 64), 3.weight (10, 8)",
        "  time       unknown: no round of this run is saved",
    ):
        assert lines.count(wanted) == 2
    assert sum(line.startswith("  memory     about ") for line in lines) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["campaign"]

    tickets.run(file, out=tmp_path / "out")
    before = contents(tmp_path / "out")
    said = command("run", file, "--dry-run", "--out", tmp_path / "out", "--set", "rounds=3")
    assert said.code == 0
    assert "24 trainings" in said.out
    assert said.out.count("s a training as in its saved rounds") == 2
    assert command("run", file, "--dry-run", "--out", tmp_path / "out").out.count("none: nothing is missing") == 2
    assert contents(tmp_path / "out") == before


def test_wrong_input_is_refused_as_a_run_refuses_it(campaign_file, command, tmp_path):
    file = campaign_file(tmp_path, train={"batch_size": 10**6}, prune={"exclude": ["nothing.*"]})
    dry, real = (command("run", file, *more, "--out", tmp_path / "out") for more in (["--dry-run"], []))
    assert (dry.code, dry.out) == (real.code, real.out) == (2, "")
    assert dry.err == real.err
    assert dry.err.count("error: ") == 2
    assert not (tmp_path / "out").exists()


def test_the_version(command):
    said = command("--version")
    assert (said.code, said.out, said.err) == (0, f"tickets {tickets.__version__}\n", "")


def test_it_is_there_as_json_too(command, campaign_file, tmp_path):
    file = campaign_file(tmp_path)
    said = command("run", file, "--out", tmp_path / "out", "--dry-run", "--json")
    (one,) = json.loads(said.out)
    assert (said.code, one["trainings"], one["coverage"]["share"]) == (0, 2 * 3 * 4, 1.0)
    assert not (tmp_path / "out").exists()
    said = command("run", file, "--out", tmp_path / "out", "--json")
    assert (said.code, said.out) == (2, "")
    assert "--json: goes with --dry-run" in said.err
    arms = json.loads(command("list", "arms", "--json").out)
    assert arms[0]["name"] == "ticket"


def test_runs_that_differ_in_their_seed_alone_are_fitted_and_compared_once(campaign_file, tmp_path, monkeypatch):
    sweep = {"seed": [0, 1, 2], "train.learning_rate": [0.1, 0.01]}
    file, calls = campaign_file(tmp_path, rounds=0, replicates=1, arms=["ticket"], sweep=sweep), []

    def counted(place):
        real = getattr(importlib.import_module(place.rpartition(".")[0]), place.rpartition(".")[2])

        def count(*given, **options):
            calls.append(place)
            return real(*given, **options)

        return count

    places = ("tickets.checks.fit", "tickets.continuing.plan_execution", "tickets.continuing.guarded")
    for place in places:
        monkeypatch.setattr(place, counted(place))
    _, found = foreseen(file, tmp_path / "out")
    assert {place: calls.count(place) for place in places} == dict.fromkeys(places, 2)
    assert len({one.run for one in found}) == 6

    # Each is trained by its own comparison, from its own initial values.
    calls.clear()
    saved = tickets.run(file, out=tmp_path / "out")
    assert calls.count("tickets.checks.fit") == 2
    assert calls.count("tickets.continuing.guarded") == 6
    compared = {saved.file(run)["execution"]["compared"]["largest_difference"] for run in saved.runs}
    assert len(compared) > 1
    assert len(set(saved.rounds["final_test_loss"])) == 6
    assert [saved.file(run)["config"]["seed"] for run in saved.runs] == [0, 1, 2] * 2


def test_what_does_not_fit_is_said_once_whatever_the_seed(campaign_file, command, tmp_path):
    file = campaign_file(tmp_path, train={"batch_size": 5000}, sweep={"seed": [0, 1, 2]})
    said = command("run", file, "--dry-run", "--out", tmp_path / "out")
    assert (said.code, said.err.count("train.batch_size = 5000")) == (2, 1)
