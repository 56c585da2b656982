"""What fails in a user's function is told with the user's file and line; the whole traceback is in the run's log."""

from __future__ import annotations

import sys

import pytest

import tickets
from tickets.errors import InputError, UserCodeError
from tickets.store import read_events, run_folders, status

# Each line that fails has its remark.
CODE = """
import sys
import torch
from pathlib import Path
from torch import nn

class Net(nn.Module):
    def __init__(self, flag=None):
        super().__init__()
        self.layer, self.flag, self.calls = nn.Linear(64, 10), flag, 0
    def forward(self, x):
        self.calls += self.training
        if self.flag and self.calls > 10 and Path(self.flag).exists():  # after the steps that are compared
            return self.layer(x)  # training
        return self.layer(x.flatten(1))

def net(flag=None):
    return Net(flag)

def unbuilt():
    return nn.Linear(64, no_such_name)  # unbuilt

def leaves():
    sys.exit(3)  # leaves

class Stumbles(Net):
    def forward(self, x):
        return self.layer(x)  # stumbles

class Typed(Net):
    def forward(self, x):
        return super().forward(x + None if self.training else x)  # typed

def net_that_is_not_built_while_it_trains(flag):
    if Path(flag).exists():
        raise OSError("no more")  # rebuilt
    return Net()

def data():
    raise LookupError("no data")  # data

def score(weights):
    return scored(weights)

def scored(weights):
    raise ZeroDivisionError("no score")  # scored
"""


def line(remark):
    return next(number for number, text in enumerate(CODE.splitlines(), 1) if text.endswith(f"# {remark}"))


@pytest.fixture
def users(module, tmp_path):
    """The name of the user's module, and its path."""
    name = module("users", CODE)
    return name, tmp_path / "modules" / f"{name}.py"


@pytest.mark.parametrize(("changes", "said", "place"), [
    ({"model": ":unbuilt"}, "building it failed: NameError: name 'no_such_name'", ("unbuilt", "unbuilt")),
    ({"model": ":leaves"}, "building it failed: SystemExit: 3", ("leaves", "leaves")),
    ({"model": ":Stumbles"}, "fails on inputs of shape (2, 1, 8, 8): RuntimeError: mat1 and mat2",
     ("stumbles", "forward")),
    ({"model": ":Typed"}, "TypeError: unsupported operand", ("typed", "forward")),
    ({"data": ":data"}, "the function failed: LookupError: no data", ("data", "data")),
])  # fmt: skip
def test_before_training_it_is_wrong_input_and_nothing_is_written(changes, said, place, users, campaign_file, tmp_path):
    name, path = users
    file = campaign_file(tmp_path, **{key: f"{name}{value}" for key, value in changes.items()})
    with pytest.raises(UserCodeError) as raised:
        tickets.run(file, out=tmp_path / "out")
    (problem,) = raised.value.problems
    assert said in problem
    remark, function = place
    assert f"(at {path}:{line(remark)}, in {function})" in problem
    assert raised.value.__cause__ is not None
    assert not (tmp_path / "out").exists()


def failed(out):
    (folder,) = run_folders(out)
    return [event for event in read_events(folder / "log.jsonl") if event["event"] == "failed"]


@pytest.mark.parametrize("workers", [1, 2])
def test_in_training_it_fails_the_run_and_the_log_has_the_traceback(users, campaign_file, command, workers, tmp_path):
    name, path = users
    (tmp_path / "flag").touch()
    out, model = tmp_path / "out", {"name": f"{name}:net", "flag": str(tmp_path / "flag")}
    file = campaign_file(tmp_path, model=model, replicates=2, cohort_size=1, rounds=1, compute={"strategy": "looped"})
    said = command("run", file, "--out", out, "--workers", workers)
    assert said.code == 1
    where = f"(at {path}:{line('training')}, in forward)"
    assert said.err.splitlines()[0].endswith(where)
    assert ": failed: RuntimeError: mat1 and mat2 shapes cannot be multiplied" in said.err
    assert "Traceback" not in said.err
    events = failed(out)
    assert len(events) == 2
    for event in events:
        assert event["why"].endswith(where)
        assert event["traceback"].startswith("Traceback (most recent call last):\n")
        assert f'File "{path}", line {line("training")}, in forward' in event["traceback"]
    assert [one.why for one in status(out)] == [events[-1]["why"]]
    (tmp_path / "flag").unlink()
    tickets.run(file, out=out, workers=workers)
    assert [one.state for one in status(out)] == ["done"]


def test_a_score_that_fails_is_told_with_its_last_line(users, campaign_file, tmp_path):
    name, path = users
    file = campaign_file(tmp_path, rounds=1, prune={"score": f"{name}:score"})
    with pytest.raises((RuntimeError, InputError), match=f"ZeroDivisionError: no score .at {path}:{line('scored')}, "):
        tickets.run(file, out=tmp_path / "out")


def test_a_model_that_cannot_be_built_again_fails_its_run_alone(users, campaign_file, command, tmp_path):
    name, path = users
    begun = tmp_path / "out" / "campaign.toml"  # what is written first
    model = {"name": f"{name}:net_that_is_not_built_while_it_trains", "flag": str(begun)}
    file = campaign_file(tmp_path, rounds=4, sweep={"model": [model, {"name": "mlp", "widths": [4]}]})
    said = command("run", file, "--out", tmp_path / "out")
    assert said.code == 1
    assert f"OSError: no more (at {path}:{line('rebuilt')}" in said.err
    assert sorted(one.state for one in status(tmp_path / "out")) == ["done", "failed"]


def test_a_run_that_is_there_already_logs_what_fails_before_training(users, campaign_file, command, tmp_path):
    name, path = users
    out, file = tmp_path / "out", campaign_file(tmp_path, rounds=0, model=f"{name}:net")
    tickets.run(file, out=out)
    path.write_text(CODE.replace("return Net(flag)", "return NoNet(flag)"))
    del sys.modules[name]
    before = {file: file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}
    said = command("run", file, "--dry-run", "--out", out, "--set", "rounds=1")
    assert (said.code, said.err.count("NameError: name 'NoNet' is not defined")) == (2, 1)
    assert {file: file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()} == before
    with pytest.raises(UserCodeError, match=f"NameError: name 'NoNet' is not defined .at {path}:"):
        tickets.run(file, out=out, settings=["rounds=1"])
    (event,) = failed(out)
    assert "NameError: name 'NoNet' is not defined" in event["traceback"]


def test_the_code_that_a_campaign_names_is_said_with_its_place(users, campaign_file, watcher, tmp_path):
    name, path = users
    listeners = watcher(), watcher()
    tickets.run(campaign_file(tmp_path, rounds=0, model=f"{name}:net"), out=tmp_path / "own", listener=listeners[0])
    tickets.run(campaign_file(tmp_path, rounds=0), out=tmp_path / "mlp", listener=listeners[1])
    said = [[line for line in listener.said if line.startswith("runs code")] for listener in listeners]
    assert said == [[f"runs code of: {name} ({path})"], []]
