"""Runs of an earlier version, without a record of the comparison: which go on, and which are refused."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from resealed import write_sealed
from torch import nn
from wrong_shards import LINEAR, execution, going_wrong, tanh_net

import tickets
from tickets.errors import InputError


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


def forget(folder) -> None:
    """Leave run.json as the earlier version wrote it."""
    (file,) = folder.glob("*/run.json")
    content = json.loads(file.read_bytes())
    del content["execution"]["compared"]
    write_sealed(file, content)


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
