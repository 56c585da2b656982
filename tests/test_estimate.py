"""The time that a campaign will take is estimated before it trains; this changes no result, and no run fails by it."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import tickets
from tickets import estimate, time_trial
from tickets.engines import one_after_another
from tickets.estimate import spread
from tickets.pace import Point
from tickets.preparation import prepare

LONG = {"train": {"steps": 4000, "evaluate_every": 1000}}
# A step takes 1 ms, an example 1 us, and so on.
STEP, EXAMPLE, BEGIN = 1e-3, 1e-6, 1e-2


def ready(file: Path, out: Path, *settings: str, workers: int = 1):
    return prepare(file, out=out, data=None, settings=settings, device="cpu", workers=workers, compare_each=False)


def of(file: Path, out: Path, *settings: str):
    found = ready(file, out, *settings)
    return estimate.estimate(found, found.todo)


@pytest.fixture
def timed(monkeypatch):
    """Gives made-up times instead of trials, and says of which: (widths, networks, strategy, density)."""
    asked: list[tuple[object, int, str, float]] = []

    def made_up(kind, strategy, density, seconds):
        assert 0 <= seconds <= estimate.BUDGET_S
        asked.append((kind.fitted.run.model.options.get("widths"), kind.networks, strategy, round(density, 3)))
        return Point(density, STEP * density, EXAMPLE, BEGIN)

    monkeypatch.setattr(estimate, "time_trial", made_up)
    return asked


def test_the_estimate_of_given_times(campaign_file, tmp_path, timed):
    found = of(campaign_file(tmp_path, **LONG, compute={"strategy": "layered"}), tmp_path / "out")
    networks = 2 * 4
    assert timed == [((8,), networks, "layered", 1.0)]
    (seconds,) = found.seconds.values()
    examples = ready(tmp_path / "tiny.toml", tmp_path / "out").fitted.popitem()[1].source.examples
    whole = 2 * len(examples.validation_labels) + len(examples.test_labels)
    assert seconds == pytest.approx(3 * networks * (BEGIN + 4000 * STEP + 5 * whole * EXAMPLE))
    assert not (tmp_path / "out").exists()


def test_sparse_is_timed_at_two_densities_and_interpolated(campaign_file, tmp_path, timed):
    file = campaign_file(tmp_path, **LONG, compute={"strategy": "sparse"}, prune={"densities": [0.5, 0.2]})
    found = of(file, tmp_path / "out", "train.evaluate_every=4000")
    assert [(strategy, density) for *_, strategy, density in timed] == [("sparse", 1.0), ("sparse", 0.199)]
    examples = ready(file, tmp_path / "out").fitted.popitem()[1].source.examples
    whole = 2 * len(examples.validation_labels) + len(examples.test_labels)
    steps = 4000 * STEP * (1 + 0.5 + 0.2)
    # 0.2 of each tensor's weights are 102 of 512 and 16 of 80, by whole numbers: 0.199 of all.
    assert sum(found.seconds.values()) == pytest.approx(8 * (3 * BEGIN + steps + 3 * 2 * whole * EXAMPLE), rel=2e-3)


def test_runs_that_cost_the_same_are_timed_once(campaign_file, tmp_path, timed):
    sweep = {"train.learning_rate": [0.1, 0.01], "seed": [0, 1], "model.widths": [[8], [16]]}
    found = of(campaign_file(tmp_path, **LONG, sweep=sweep, compute={"strategy": "layered"}), tmp_path / "out")
    assert [widths for widths, *_ in timed] == [(16,), (8,)]
    assert len(found.seconds) == 8
    assert len(set(found.seconds.values())) == 1


def test_of_many_kinds_some_are_timed(campaign_file, tmp_path, timed):
    widths = [[4 + place] for place in range(15)]
    changes = {"rounds": 0, "replicates": 1, "arms": ["ticket"], "compute": {"strategy": "layered"}}
    file = campaign_file(tmp_path, **changes, sweep={"model.widths": widths}, train={"steps": 10_000})
    found = of(file, tmp_path / "out")
    assert len(timed) == estimate.MOST_KINDS
    assert [each for each, *_ in timed][:3] == [(18,), (4,), (11,)]
    assert len(set(map(round, found.seconds.values()))) == 1


def test_the_order_of_trials_is_from_the_ends_inwards():
    assert [list(spread(count)) for count in (1, 2, 3, 5)] == [[0], [1, 0], [2, 0, 1], [4, 0, 2, 1, 3]]
    assert all(sorted(spread(count)) == list(range(count)) for count in range(1, 40))


def test_nothing_is_timed_of_campaigns_that_are_soon_over(campaign_file, watcher, tmp_path, timed):
    listener = watcher()
    tickets.run(campaign_file(tmp_path), out=tmp_path / "out", listener=listener)
    assert timed == []
    assert not any("on this machine" in said for said in listener.said)


def test_nothing_is_timed_where_it_is_not_asked_for(campaign_file, watcher, command, tmp_path, monkeypatch, timed):
    monkeypatch.setattr(estimate, "WORTH_SAYING_S", 0.0)
    file, out = campaign_file(tmp_path, arms=["ticket"]), tmp_path / "out"
    tickets.run(file, out=out, settings=["replicates=1"])  # nobody listens
    tickets.run(file, out=out, settings=["rounds=3", "replicates=1"], listener=watcher())  # something is saved
    tickets.run(file, out=tmp_path / "engine", engine=one_after_another(), listener=watcher())
    assert command("run", file, "--out", tmp_path / "worker", "--worker").code == 0
    assert timed == []
    assert command("run", file, "--out", tmp_path / "alone").code == 0
    assert len(timed) == 2


def test_it_is_said_once_before_the_first_round(campaign_file, command, tmp_path, monkeypatch, timed):
    monkeypatch.setattr(estimate, "WORTH_SAYING_S", 0.001)
    lines = command("run", campaign_file(tmp_path), "--out", tmp_path / "out").out.splitlines()
    (place,) = [place for place, line in enumerate(lines) if " about " in line and " on this machine, by " in line]
    assert lines[place].endswith(" about 1 s on this machine, by 0.1 s of trial steps")
    assert "training steps to take" in lines[place - 1]
    assert "round-000" in lines[place + 1]


def test_a_dry_run_says_it(campaign_file, command, tmp_path, timed):
    file = campaign_file(tmp_path, **LONG, probes=["structure"], compute={"strategy": "layered"})
    first, *lines = command("run", file, "--dry-run", "--out", tmp_path / "out").out.splitlines()
    how = "by 0.1 s of trial steps, without its probes"
    assert f" to do, about 2 min in one process on this machine, {how}; dry run: " in first
    assert f"  time       about 2 min in one process on this machine, {how}" in lines
    (one,) = json.loads(command("run", file, "--dry-run", "--json", "--out", tmp_path / "out").out)
    assert (one["seconds"], one["estimated_how"]) == (None, how)
    assert 90 < one["estimated_seconds"] < 150


@pytest.mark.parametrize("error", [RuntimeError("no"), SystemExit(3), MemoryError()])
def test_a_trial_that_fails_gives_none_and_the_run_goes_on(campaign_file, watcher, tmp_path, monkeypatch, error):
    def failing(*given):
        raise error

    monkeypatch.setattr(estimate, "WORTH_SAYING_S", 0.0)
    monkeypatch.setattr(estimate, "time_trial", failing)
    file, listener = campaign_file(tmp_path), watcher()
    assert of(file, tmp_path / "out") is None
    assert len(tickets.run(file, out=tmp_path / "out", listener=listener).rounds) == 3 * 8
    assert not any("on this machine" in said for said in listener.said)


def test_times_that_are_no_numbers_give_none(campaign_file, tmp_path, monkeypatch):
    monkeypatch.setattr(estimate, "time_trial", lambda *given: Point(given[2], float("nan"), 1.0))
    assert of(campaign_file(tmp_path, **LONG), tmp_path / "out") is None


def test_ctrl_c_ends_it(campaign_file, watcher, tmp_path, monkeypatch):
    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(estimate, "time_trial", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tickets.run(campaign_file(tmp_path, **LONG), out=tmp_path / "out", listener=watcher())
    assert not (tmp_path / "out").exists()


KINDS = {
    "sparse": {"compute": {"threads": 2, "strategy": "sparse"}},
    "layered, in turns": {"compute": {"threads": 2, "strategy": "layered", "memory_gib": 0.01}},
    "vectorised": {"compute": {"strategy": "vectorised"}},
    "looped, dropout": {"compute": {"strategy": "looped"}, "model": {"name": "mlp", "widths": [8], "dropout": 0.2}},
    "frozen, rewound": {"arms": ["ticket", "frozen"], "rewind": {"step": 5}, "train": {"evaluate_on": 30}},
    "own recipe, small": {"arms": ["ticket", "small_dense", {"name": "reinit", "train": {"steps": 5}}]},
    "learned": {"arms": ["ticket", "edge_popup"], "train": {"precision": "bf16"}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_a_run_changes(campaign_file, watcher, contents, tmp_path, monkeypatch, kind: str):
    file, listener = campaign_file(tmp_path, **KINDS[kind]), watcher()
    tickets.run(file, out=tmp_path / "without")
    monkeypatch.setattr(estimate, "WORTH_SAYING_S", 1e-9)
    threads, before = torch.get_num_threads(), (random.getstate(), np.random.get_state()[1].tolist())
    state = torch.default_generator.get_state()
    tickets.run(file, out=tmp_path / "with", listener=listener)
    assert sum("on this machine" in said for said in listener.said) == 1
    assert contents(tmp_path / "with") == contents(tmp_path / "without")
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert torch.equal(torch.default_generator.get_state(), state)
    assert torch.get_num_threads() == threads
    assert threading.active_count() == 1


OWN = """
import torch
from torch import nn

calls = 0

class Net(nn.Module):
    def __init__(self, input_shape, classes):
        super().__init__()
        self.layer, self.counted = nn.Linear(input_shape[0] * input_shape[1] * input_shape[2], classes), 0

    def forward(self, x):
        global calls
        calls += 1
        COUNT
        return self.layer(x.flatten(1)).tanh()

def net(input_shape, classes):
    return Net(input_shape, classes)
"""


def test_a_network_of_the_users_takes_few_steps(campaign_file, module, tmp_path):
    name = module("own", OWN.replace("COUNT", "pass"))
    file = campaign_file(tmp_path, **LONG, model={"name": f"{name}:net"}, compute={"strategy": "looped"})
    found = ready(file, tmp_path / "out")
    own = __import__(name)
    before = own.calls
    assert estimate.estimate(found, found.todo) is not None
    # Two networks take five steps; three kinds of examples are evaluated once.
    assert own.calls - before == time_trial.OWN_NETWORKS * (time_trial.OWN_STEPS + 3)


def test_one_that_changes_more_than_its_parameters_takes_none(campaign_file, module, tmp_path):
    name = module("own", OWN.replace("COUNT", "self.counted += 1"))
    file = campaign_file(tmp_path, **LONG, model={"name": f"{name}:net"})
    found = ready(file, tmp_path / "out")
    own = __import__(name)
    before = own.calls
    assert [plan.strategy for plan in found.plans.values()] == ["plain"]
    assert estimate.estimate(found, found.todo) is None
    assert own.calls == before
