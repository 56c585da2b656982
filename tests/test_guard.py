"""A run's strategy is compared with a plain loop before its first round, and steps back where it is another network."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from wrong_shards import LINEAR, Wrong, execution, going_wrong

import tickets
from tickets import guard, reference
from tickets.errors import InputError
from tickets.fitting import fit
from tickets.planning import plan_execution
from tickets.source import load_source
from tickets.stack.strategies import begin
from tickets.store import verify

CPU = torch.device("cpu")


def test_what_was_compared_is_in_run_json_and_not_compared_again(campaign_file, tmp_path, monkeypatch) -> None:
    file, out = campaign_file(tmp_path, **LINEAR), tmp_path / "out"
    asked = going_wrong(monkeypatch)
    tickets.run(file, out=out)
    record = execution(out)["compared"]
    assert asked == ["vectorised"]
    assert (record["steps"], record["examples"], record["passed_over"]) == (3, 50, [])
    assert 0 < record["largest_difference"] < 1e-5
    assert 0 < record["share_of_its_limit"] < 1
    tickets.run(campaign_file(tmp_path, **LINEAR, rounds=3), out=out)
    assert asked == ["vectorised"]
    assert execution(out)["compared"] == record


@pytest.mark.parametrize("way", ["weights", "outputs", "fails", "one network"])
def test_the_next_strategy_is_taken_where_one_differs(campaign_file, watcher, tmp_path, monkeypatch, way: str) -> None:
    asked, listener = going_wrong(monkeypatch, "vectorised", way=way), watcher()
    saved = tickets.run(campaign_file(tmp_path, **LINEAR), out=tmp_path / "out", listener=listener)
    assert sum(": passed over, since a plain PyTorch loop differs: vectorised: " in said for said in listener.said) == 1
    ran = execution(tmp_path / "out")
    assert asked == ["vectorised", "looped"]
    assert ran["strategy"] == "looped"
    assert ran["reason"] == "vectorised does not train this model as a plain PyTorch loop does"
    (passed_over,) = ran["compared"]["passed_over"]
    wanted = (
        "vectorised: RuntimeError: there is no such step" if way == "fails" else "of its length from a plain loop's"
    )
    assert wanted in passed_over
    assert len(saved.rounds) == 3 * 2 * 4


def test_a_strategy_that_was_asked_for_steps_back_too(campaign_file, tmp_path, monkeypatch) -> None:
    going_wrong(monkeypatch, "vectorised", "looped")
    tickets.run(campaign_file(tmp_path, **LINEAR, compute={"strategy": "looped"}), out=tmp_path / "out")
    ran = execution(tmp_path / "out")
    assert (ran["strategy"], ran["lanes"]) == ("plain", 1)
    assert len(ran["compared"]["passed_over"]) == 1


def test_where_none_is_as_the_plain_loop_the_run_is_refused(campaign_file, tmp_path, monkeypatch) -> None:
    going_wrong(monkeypatch, "vectorised", "looped", "plain")
    with pytest.raises(InputError, match="an evaluation must have no side effects"):
        tickets.run(campaign_file(tmp_path, **LINEAR), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_sparse_rounds_are_compared_before_there_are_any(campaign_file, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")  # where `sparse` takes over from half the weights on
    asked = going_wrong(monkeypatch)
    tickets.run(campaign_file(tmp_path), out=tmp_path / "right")
    assert asked == ["layered", "sparse"]
    assert execution(tmp_path / "right")["takes_over"] == {"sparse": 0.5}
    asked = going_wrong(monkeypatch, "sparse")
    tickets.run(campaign_file(tmp_path), out=tmp_path / "wrong")
    assert asked == ["layered", "sparse"]
    ran = execution(tmp_path / "wrong")
    assert (ran["strategy"], ran["takes_over"]) == ("layered", {})
    assert "sparse: " in ran["compared"]["passed_over"][0]


@pytest.mark.usefixtures("preloaded")
def test_a_plain_loop_is_trained_by_several_processes_and_goes_on_as_it_began(module, campaign_file, tmp_path) -> None:
    changes = {"model": f"{module('nets', HOOKED)}:hooked_net", "cohort_size": 1, "rounds": 1}
    saved = tickets.run(campaign_file(tmp_path, **changes), out=tmp_path / "out", workers=2)
    assert execution(tmp_path / "out")["strategy"] == "plain"
    alone = tickets.run(campaign_file(tmp_path, **changes), out=tmp_path / "alone")
    assert saved.rounds.drop(columns="seconds").equals(alone.rounds.drop(columns="seconds"))
    assert verify(tmp_path / "out") == []


HOOKED = """
from torch import nn


def hooked_net(input_shape, classes):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, classes))
    net[1].weight.register_hook(lambda gradient: 2 * gradient)
    return net
"""


def test_a_few_examples_are_enough_for_a_large_network(campaign_file, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(reference, "LARGE_BYTES", 1000)
    tickets.run(campaign_file(tmp_path, **LINEAR, rounds=0), out=tmp_path / "out")
    record = execution(tmp_path / "out")["compared"]
    assert (record["steps"], record["examples"]) == (2, 4)


def test_no_more_steps_than_the_run_has(campaign_file, tmp_path) -> None:
    tickets.run(campaign_file(tmp_path, **LINEAR, rounds=0, train={"steps": 1}), out=tmp_path / "out")
    assert execution(tmp_path / "out")["compared"]["steps"] == 1


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_what_rounding_does_to_a_network_of_every_strategy_is_within_its_limit(
    campaign_file, optimizer, tmp_path
) -> None:
    """Biases before a normalisation have gradients that are nothing but rounding."""
    biased = {"name": LINEAR["model"], "bias": True}
    for model, strategies in ((biased, ("vectorised", "looped")), ("mlp", ("layered", "sparse", "looped"))):
        train = {"optimizer": optimizer, "learning_rate": 0.05, "momentum": 0.9 if optimizer == "sgd" else 0.0}
        run = tickets.config.read_campaign(campaign_file(tmp_path, model=model, train=train)).runs[0]
        fitted = fit(run, load_source(run.data, None))
        plan = plan_execution(fitted, CPU)
        for strategy in strategies:
            found = guard.guarded(fitted, dataclasses.replace(plan, strategy=strategy, takes_over={}), CPU)
            assert found.strategy == strategy
            assert found.compared["share_of_its_limit"] < 0.5


FROZEN = {"name": "held", "values": "tickets.arms:rewound", "pruned": "initial"}


def test_stacks_with_other_pruned_weights_are_compared_too_and_step_back_alone(campaign_file, monkeypatch, tmp_path):
    def watched(strategy, module, start, *arguments, **options):
        shard = begin(strategy, module, start, *arguments, **options)
        return Wrong(shard, "outputs") if start.pruned_values and strategy == "layered" else shard

    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(guard, "begin", watched)
    file = campaign_file(tmp_path, rounds=1, arms=["ticket", FROZEN])
    tickets.run(file, out=tmp_path / "out")
    execution = json.loads(next((tmp_path / "out").glob("*/run.json")).read_bytes())["execution"]
    assert (execution["strategy"], execution["compared"]["passed_over"]) == ("sparse", [])
    initial = execution["pruned_initial"]
    assert initial["strategy"] == "vectorised"
    assert initial["reason"] == "layered does not train this model as a plain PyTorch loop does"
    assert initial["compared"]["passed_over"][0].startswith("layered: outputs in evaluation mode")
    assert verify(tmp_path / "out") == []
