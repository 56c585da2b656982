"""The commands as a person types them: status, what is printed where, and how to go on."""

from __future__ import annotations

import json

import pytest

import tickets
from tickets.store import run_folders


@pytest.fixture
def done(campaign_file, tmp_path):
    """The folder of a campaign that was run."""
    tickets.run(campaign_file(tmp_path, rounds=1), out=tmp_path / "out")
    return tmp_path / "out"


def test_run_trains_then_does_nothing_and_prints_the_table_each_time(command, campaign_file, tmp_path):
    file, out = campaign_file(tmp_path, rounds=1), tmp_path / "out"
    first = command("run", file, "--out", out)
    assert (first.code, first.err) == (0, "")
    again = command("run", file, "--out", out)
    assert (again.code, again.err) == (0, "")
    said, table = again.out.split("\n", 1)
    assert said.endswith("1 run, nothing is missing, 2 rounds are there already")
    assert first.out.endswith(table)
    for wanted in ("test accuracy at early stop, %", "ticket", "reinit", "random_mask", "1.0000", f"saved in {out}"):
        assert wanted in table
    assert table.count("±") >= 2 * 3


def test_run_gives_what_the_python_function_gives(command, campaign_file, contents, tmp_path):
    file = campaign_file(tmp_path, rounds=1)
    assert command("run", file, "--out", tmp_path / "a", "--set", "train.steps=10").code == 0
    tickets.run(file, out=tmp_path / "b", settings=["train.steps=10"])
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


BREAKS = """
import torch
from pathlib import Path

class Net(torch.nn.Module):
    def __init__(self, flag):
        super().__init__()
        self.layer, self.flag, self.calls = torch.nn.Linear(64, 10), flag, 0
    def forward(self, x):
        self.calls += self.training
        if self.calls > 10 and Path(self.flag).exists():  # not yet in the steps that are compared with a plain loop
            raise RuntimeError("this network breaks")
        return self.layer(x.flatten(1))

def net(flag):
    return Net(flag)
"""


def test_a_run_that_fails_is_said_and_the_same_command_tries_it_again(command, campaign_file, module, tmp_path):
    flag, out = tmp_path / "flag", tmp_path / "out"
    flag.touch()
    models = [{"name": f"{module('breaking', BREAKS)}:net", "flag": str(flag)}, {"name": "mlp", "widths": [4]}]
    file = campaign_file(tmp_path, rounds=0, sweep={"model": models})
    said = command("run", file, "--out", out)
    assert said.code == 1
    first, last = said.err.splitlines()
    assert ": failed: RuntimeError: this network breaks (at " in first
    assert first.endswith(".py:12, in forward)")
    assert last == "1 of 2 runs failed; the same command tries it again"
    assert "digits-mlp-adam" in said.out  # the other run's table
    shown = command("status", out)
    assert shown.code == 1
    assert "failed" in shown.out
    assert "RuntimeError: this network breaks" in shown.out
    flag.unlink()
    assert command("run", file, "--out", out).code == 0
    assert command("status", out).code == 0


def test_status_says_how_far_each_run_is(command, campaign_file, watcher, tmp_path):
    out = tmp_path / "out"
    file = campaign_file(tmp_path, sweep={"seed": [0, 1]})
    with pytest.raises(KeyboardInterrupt):
        tickets.run(file, out=out, listener=watcher(stop=(2, 0)))
    said = command("status", out)
    assert said.code == 0
    partial, waiting = (line for line in said.out.splitlines() if "digits" in line)
    assert "partial" in partial
    assert "2/3" in partial
    assert "16/24" in partial
    assert "waiting" in waiting
    assert "0/24" in waiting
    found = json.loads(command("status", out, "--json").out)
    assert [one["state"] for one in found] == ["partial", "waiting"]
    assert list(found[0]) == [
        "run", "state", "why", "rounds_done", "rounds_wanted", "replicates_done", "replicates_wanted",
        "trainings_done", "trainings_wanted", "diverged", "missing_arms", "asked", "coverage", "left_over",
        "unmeasured", "at_work", "seconds_left",
    ]  # fmt: skip
    tickets.run(file, out=out)
    assert [one["state"] for one in json.loads(command("status", out, "--json").out)] == ["done", "done"]
    (run, _) = run_folders(out)
    assert json.loads(command("status", run, "--json").out)[0]["run"] == run.name


def test_status_names_the_arms_that_rounds_lack(command, campaign_file, done, tmp_path):
    (done / "campaign.toml").write_text(
        campaign_file(tmp_path, rounds=1, arms=["ticket", "reinit", "constant"]).read_text()
    )
    assert "lacks constant" in command("status", done).out


def test_verify_finds_nothing_in_what_was_committed_and_a_byte_that_changed(command, done):
    said = command("verify", done)
    assert (said.code, said.out, said.err) == (0, f"{done}: all files are as committed\n", "")
    assert json.loads(command("verify", done, "--json").out) == []
    (file,) = done.glob("*/cohort-000/round-001/weights.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    said = command("verify", done)
    assert said.code == 1
    assert said.err.startswith(f"{file}: ")
    assert said.out == f"{done}: 1 problem\n"
    (problem,) = json.loads(command("verify", done, "--json").out)
    assert problem["path"] == str(file)


@pytest.mark.parametrize("name", ["status", "verify"])
def test_a_folder_that_is_no_campaign_is_wrong_input(name, command, tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        said = command(name, folder)
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith(f"error: {folder}: ")


def test_fetch_needs_a_folder_and_a_known_name(command, tmp_path, monkeypatch):
    monkeypatch.delenv("TICKETS_DATA", raising=False)
    said = command("fetch", "mnist")
    assert said.code == 2
    assert "give --data DIR or set TICKETS_DATA" in said.err
    said = command("fetch", "mnits", "--data", tmp_path / "data")
    assert said.code == 2
    assert "did you mean 'mnist'?" in said.err
    said = command("fetch", "mnist", "--data", tmp_path / "data", "--base-url", "ftp://example.org")
    assert said.code == 2
    assert "must begin with http" in said.err
    assert not list(tmp_path.rglob("*ubyte*"))


def test_fetch_reads_the_folder_from_the_environment(command, tmp_path, monkeypatch):
    monkeypatch.setenv("TICKETS_DATA", str(tmp_path / "from-environment"))
    asked = []
    monkeypatch.setattr("tickets.data.fetch.fetch", lambda name, folder, **options: asked.append((name, folder)) or [])
    assert command("fetch", "mnist").code == 0
    assert asked == [("mnist", tmp_path / "from-environment")]


@pytest.mark.parametrize("arguments", [["frobnicate"], ["run"], ["run", "x.toml", "--frob"], ["list", "arms", "x"]])
def test_what_is_no_command_is_wrong_input(arguments, command):
    said = command(*arguments)
    assert (said.code, said.out) == (2, "")
    assert "Usage: tickets" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("name", [None, "run", "status", "verify", "list", "fetch"])
def test_help_says_everything_in_plain_text(name, command):
    said = command(*([name] if name else []), "--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("Usage: tickets")
    if name is None:
        assert all(each in said.out for each in ("run", "status", "verify", "list", "fetch"))
        assert "..." not in said.out.split("Commands:")[1]  # no summary is cut
    if name == "run":
        # Square brackets in a help text are easily swallowed as markup.
        assert "[default: runs/saved/NAME]" in said.out
        assert "$TICKETS_DATA]" in said.out
