"""A run's strategy is compared with a plain loop before its first round, and steps back where it is another network."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
import torch
from torch import nn

import tickets
from tickets import guard, reference
from tickets.errors import InputError
from tickets.fitting import fit
from tickets.planning import plan_execution
from tickets.source import load_source
from tickets.stack.strategies import begin
from tickets.store import verify

CPU = torch.device("cpu")
LINEAR = {"model": f"{__name__}:tanh_net"}  # vectorised, then looped, then plain


def tanh_net(input_shape: tuple[int, ...], classes: int, bias: bool = False) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8, bias=bias), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, classes))


def frozen_net(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    net = tanh_net(input_shape, classes)
    net[1].requires_grad_(False)
    return net


def shared_net(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    act = nn.ReLU()
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), act, nn.Linear(8, 8), act, nn.Linear(8, classes))


class Assigning(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, 8), nn.Linear(8, classes)
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x):
        h = torch.tanh(self.first(x.flatten(1)))
        if self.training:
            self.mean = 0.5 * self.mean + 0.5 * h.detach().mean(0)
        return self.last(h - self.mean)


def assigning_net(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return Assigning(classes)


class Idle(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.last, self.idle = nn.Linear(64, classes), nn.Linear(3, 3)

    def forward(self, x):
        return self.last(x.flatten(1))


def idle_net(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return Idle(classes)


class Wrong:
    """A shard that has gone wrong in one way."""

    def __init__(self, shard, way: str) -> None:
        self.shard, self.way = shard, way

    def __getattr__(self, name: str):
        return getattr(self.shard, name)

    def advance(self, *arguments) -> None:
        if self.way == "fails":
            raise RuntimeError("there is no such step")
        self.shard.advance(*arguments)

    def logits(self, x):
        return self.shard.logits(x) * (1.01 if self.way == "outputs" else 1)

    def standing(self, step: int):
        stack = self.shard.standing(step)
        if self.way == "weights":
            changed = {name: tensor * (1 + 1e-4) for name, tensor in stack.parameters.items()}
            return dataclasses.replace(stack, parameters=changed)
        if self.way == "one network":
            changed = {name: torch.stack([tensor[0], tensor[0]]) for name, tensor in stack.buffers.items()}
            return dataclasses.replace(stack, buffers=changed)
        return stack


def going_wrong(monkeypatch, *strategies: str, way: str = "weights") -> list[str]:
    """Have these strategies go wrong in the comparison; which were asked for, in order."""
    asked = []

    def watched(strategy, *arguments, **options):
        asked.append(strategy)
        shard = begin(strategy, *arguments, **options)
        return Wrong(shard, way) if strategy in strategies else shard

    monkeypatch.setattr(guard, "begin", watched)
    return asked


def execution(folder) -> dict:
    (file,) = folder.glob("*/run.json")
    return json.loads(file.read_bytes())["execution"]


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


# --- What networks have in common, or keep in plain attributes

SHARED, MEMORY, MEAN = nn.Linear(8, 8), torch.ones(8, 8), torch.zeros(8)


class Sharing(nn.Module):
    """Its networks have a layer, a tensor's memory or a buffer in common."""

    def __init__(self, classes: int, what: str) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(64, 8), nn.Linear(8, 8), nn.Linear(8, classes)
        self.register_buffer("mean", MEAN if what in ("mean", "constant") else torch.zeros(8))
        self.moves = what == "mean"
        if what == "middle.weight":
            self.middle = SHARED

    def forward(self, x):
        hidden = self.middle(torch.tanh(self.first(x.flatten(1))))
        if self.training and self.moves:
            self.mean.mul_(0.9).add_(0.1 * hidden.detach().mean(0))
        return self.last(torch.tanh(hidden - self.mean))


def sharing_net(input_shape: tuple[int, ...], classes: int, what: str) -> nn.Module:
    return Sharing(classes, what)


def slice_net(input_shape: tuple[int, ...], classes: int, what: str) -> nn.Module:
    net = Sharing(classes, "")
    net.middle.bias = nn.Parameter(MEMORY[1])
    return net


@pytest.mark.parametrize("strategy", ["auto", "looped"])
@pytest.mark.parametrize(
    ("net", "what"), [("sharing_net", "middle.weight"), ("sharing_net", "mean"), ("slice_net", "middle.bias")]
)
def test_what_is_put_into_every_network_is_refused(campaign_file, tmp_path, net, what, strategy) -> None:
    model, out = {"name": f"{__name__}:{net}", "what": what}, tmp_path / "out"
    with pytest.raises(InputError, match=f"every network shares the same tensor {what!r}; create it at"):
        tickets.run(campaign_file(tmp_path, model=model, compute={"strategy": strategy}), out=out)
    assert not out.exists()


def test_a_constant_that_networks_have_in_common_does_no_harm(campaign_file, tmp_path) -> None:
    model, before = {"name": f"{__name__}:sharing_net", "what": "constant"}, MEAN.clone()
    tickets.run(campaign_file(tmp_path, model=model, rounds=0), out=tmp_path / "out")
    assert torch.equal(MEAN, before)


LATE = 12  # the step from which on the count matters


class Late(nn.Module):
    """It counts its training steps, by a plain attribute of a part of it, and is another function from LATE on."""

    def __init__(self, classes: int, kind: str) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(64, 8), nn.Dropout(0.1), nn.Linear(8, classes)
        self.drop.steps = {"number": 0, "list": [], "dict": {"n": 0}, "tensor": torch.zeros(())}[kind]

    def forward(self, x):
        steps = self.drop.steps
        if self.training:
            if isinstance(steps, list):
                steps.append(0)
            elif isinstance(steps, dict):
                steps["n"] += 1
            else:
                self.drop.steps = steps + 1
        n = len(steps) if isinstance(steps, list) else steps["n"] if isinstance(steps, dict) else steps
        h = torch.tanh(self.first(x.flatten(1)))
        return self.last(self.drop(h) if n < LATE else 3 * h)


def late_net(input_shape: tuple[int, ...], classes: int, kind: str) -> nn.Module:
    return Late(classes, kind)


@pytest.mark.parametrize("strategy", ["auto", "looped"])
@pytest.mark.parametrize("kind", ["number", "list", "dict", "tensor"])
def test_each_network_counts_for_itself(campaign_file, tmp_path, kind, strategy) -> None:
    changes = {"model": {"name": f"{__name__}:late_net", "kind": kind}, "compute": {"strategy": strategy}, "rounds": 1}
    several = tickets.run(campaign_file(tmp_path, **changes), out=tmp_path / "several")
    ran = execution(tmp_path / "several")
    assert (ran["strategy"], ran["reason"]) == (
        "plain",
        "each network has a module of its own, for it changes drop.steps as it trains",
    )
    assert ran["compared"]["passed_over"] == [
        "looped: all networks would share one module, whose attribute drop.steps changes during training"
    ]
    alone = tickets.run(campaign_file(tmp_path, **changes, replicates=1, arms=["ticket"]), out=tmp_path / "alone")
    columns = ["round", "final_train_loss", "final_test_loss"]
    found = several.rounds.query("replicate == 0 and arm == 'ticket'")[columns].reset_index(drop=True)
    assert found.equals(alone.rounds[columns])


def test_a_count_that_no_rewinding_restores_is_refused(campaign_file, tmp_path) -> None:
    changes = {"model": {"name": f"{__name__}:late_net", "kind": "number"}, "rewind": {"step": 2}}
    with pytest.raises(InputError, match=r"drop\.steps changes during training; .* no ticket can be rewound with it"):
        tickets.run(campaign_file(tmp_path, **changes), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- Runs of an earlier version, which have no record


def forget(folder) -> None:
    """Leave run.json as the earlier version wrote it."""
    (file,) = folder.glob("*/run.json")
    content = json.loads(file.read_bytes())
    del content["execution"]["compared"]
    file.write_text(json.dumps(content))


def test_an_earlier_run_goes_on_by_the_strategy_that_it_has(campaign_file, contents, tmp_path, monkeypatch) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    tickets.run(campaign_file(tmp_path, **LINEAR, rounds=1), out=out)
    before = contents(out)
    forget(out)
    asked = going_wrong(monkeypatch)
    file = campaign_file(tmp_path, **LINEAR, rounds=2)
    tickets.run(file, out=out)
    assert asked == ["vectorised"]
    assert "compared" not in execution(out)
    after = contents(out)
    rounds = [name for name in before if "round-" in name]
    assert rounds
    assert all(before[name] == after[name] for name in rounds)
    tickets.run(file, out=whole)
    assert {name: one for name, one in after.items() if not name.endswith("run.json")} == {
        name: one for name, one in contents(whole).items() if not name.endswith("run.json")
    }


def test_an_earlier_run_whose_strategy_is_wrong_does_not_go_on(campaign_file, contents, tmp_path, monkeypatch) -> None:
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, **LINEAR, rounds=1), out=out)
    forget(out)
    before = contents(out)
    going_wrong(monkeypatch, "vectorised")
    with pytest.raises(InputError, match=r"not as the model is written: it does not train as a plain .*another folder"):
        tickets.run(campaign_file(tmp_path, **LINEAR, rounds=2), out=out)
    assert contents(out) == before


@pytest.mark.parametrize(
    ("model", "train", "why"),
    [
        ("frozen_net", {}, r"the frozen parameters 1\.weight were trained and pruned"),
        ("shared_net", {}, "a layer that occurs more than once was computed once"),
        ("assigning_net", {}, "the tensors that the model assigns to its buffers mean were lost"),
        ("idle_net", {"weight_decay": 0.1}, r"weight decay changed idle\.weight, idle\.bias, which no loss reaches"),
    ],
)
def test_an_earlier_run_of_another_network_does_not_go_on(campaign_file, tmp_path, model, train, why) -> None:
    out, changes = tmp_path / "out", {"model": f"{__name__}:{model}", "train": train}
    tickets.run(campaign_file(tmp_path, **changes, rounds=0), out=out)
    shutil.copytree(out, tmp_path / "copy")
    tickets.run(campaign_file(tmp_path, **changes, rounds=1), out=tmp_path / "copy")
    forget(out)
    with pytest.raises(InputError, match=why):
        tickets.run(campaign_file(tmp_path, **changes, rounds=1), out=out)


FROZEN = {"name": "frozen", "values": "tickets.arms:rewound", "pruned": "initial"}


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
