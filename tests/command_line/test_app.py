"""The commands as a person types them: status, what is printed where, and how to go on."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import statistics
import subprocess
import sys
import time

import psutil
import pytest

import tickets
from tickets import catalogue
from tickets.config import parse_run
from tickets.errors import InputError
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
        "unmeasured",
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


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("models", catalogue.MODELS),
        ("data", catalogue.DATA),
        ("inits", catalogue.INITS),
        ("arms", catalogue.ARMS),
        ("scores", catalogue.SCORES),
        ("probes", catalogue.PROBES),
    ],
)
def test_list_has_each_name_once_with_its_summary(kind, table, command):
    said = command("list", kind)
    assert said.code == 0
    names, _, _ = said.out.partition("\n\n")
    lines = [line.split(maxsplit=1) for line in names.splitlines() if not line.startswith(" ")]
    assert lines == [[name, entry.summary] for name, entry in table.items()]


def test_list_has_the_options_of_each_name_with_their_defaults_and_what_is_allowed(command):
    width = max(map(len, catalogue.MODELS)) + 4
    said = command("list", "models").out
    assert said.startswith(
        f"mlp{' ' * (width - 5)}fully connected, ReLU; hidden layers of any widths\n"
        f'{" " * width}init = "pytorch"\n'
        f"{' ' * width}widths = [100, 100]: a list of whole numbers, each at least 1\n"
        f"{' ' * width}dropout = 0.0: a number, at least 0 and less than 1\n"
        "lenet_300_100  "
    )
    inits = ", ".join(f'"{name}"' for name in list(catalogue.INITS)[:-1])
    assert said.endswith(f'\n\nOptions of all of them:\n  init: {inits} or "dct"\n')
    arms = command("list", "arms").out
    assert '    biases = "model": "zeros" or "model"\n' in arms
    assert arms.count("\n\n") == 2
    assert "\n\nOptions of all but ticket:\n  label: " in arms
    assert '\n  pruned = "zero": "zero" or "initial"\n  start: 0\n\nOptions of reinit, shuffle, ' in arms
    assert arms.endswith(", reorder:\n  draws = 1: a whole number, at least 1\n")


def test_list_as_json_has_every_option_of_each_name(command):
    (mlp, *_) = json.loads(command("list", "models", "--json").out)
    assert (mlp["name"], mlp["summary"]) == ("mlp", catalogue.MODELS["mlp"].summary)
    assert mlp["options"]["dropout"] == {"default": 0.0, "allowed": "a number, at least 0 and less than 1"}
    arms = {arm["name"]: arm["options"] for arm in json.loads(command("list", "arms", "--json").out)}
    assert list(arms) == list(catalogue.ARMS)
    assert arms["constant"].keys() - arms["reinit"].keys() == {"value", "biases"}
    assert arms["reinit"].keys() - arms["constant"].keys() == {"draws"}


def test_list_offers_an_option_exactly_where_the_campaign_file_may_change_it(command):
    changed = {"label": "another", "draws": 2, "pruned": "initial", "start": 0}
    for arm in json.loads(command("list", "arms", "--json").out):
        for key, value in changed.items():
            arms = [{"name": "ticket"}] if arm["name"] != "ticket" else []
            try:
                parse_run(
                    {"name": "x", "data": "digits", "model": "mlp", "arms": [*arms, {"name": arm["name"], key: value}]}
                )
            except InputError:
                assert key not in arm["options"], (arm["name"], key)
            else:
                assert key in arm["options"], (arm["name"], key)


def test_list_without_a_kind_has_the_names_of_all_kinds(command):
    said = command("list")
    lines = dict(line.split(maxsplit=1) for line in said.out.split("\n\n")[0].splitlines())
    assert (said.code, said.err) == (0, "")
    assert lines == {kind: ", ".join(table) for kind, table in catalogue.KINDS.items()}
    everything = json.loads(command("list", "--json").out)
    assert everything == {kind: json.loads(command("list", kind, "--json").out) for kind in catalogue.KINDS}


def test_the_help_of_list_names_all_kinds(command):
    for said in (command("--help"), command("list", "--help")):
        assert "models, data, inits, arms, scores or probes" in " ".join(said.out.split())


def test_list_of_something_else_is_wrong_input(command):
    said = command("list", "model")
    assert (said.code, said.out) == (2, "")
    assert "did you mean 'models'?" in said.err


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


IMPORTED = """
import sys
from tickets.command_line.app import main
try:
    main()
except SystemExit as end:
    print(end.code, [name for name in ("torch", "pandas", "numpy") if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["list", "arms"]])
def test_help_and_lists_wait_for_no_large_package(arguments):
    ended = subprocess.run([sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True)
    assert ended.stderr.strip() in ("0 []", "None []")


# The command, but for this: where the first training step is counted, the process says what it has imported, and ends.
UNTIL_FIRST_STEP = """
import os, sys
from tickets.command_line import app, progress
from tickets.listener import Steps
def stop_at_first_step(listener, event):
    if isinstance(event, Steps):
        print("first step", *sorted({name.partition(".")[0] for name in sys.modules}), flush=True)
        os._exit(0)
progress.Lines.__call__ = stop_at_first_step
app.main()
"""
LATER = {"IPython", "jinja2", "matplotlib", "mnist1d", "numba", "requests", "seaborn", "sklearn"}


@pytest.mark.parametrize(("strategy", "used"), [("layered", {"sklearn"}), ("sparse", {"sklearn", "numba"})])
def test_the_first_step_waits_for_no_package_that_the_run_does_not_use(campaign_file, tmp_path, strategy, used):
    file = campaign_file(tmp_path, data="digits", compute={"strategy": strategy})
    ended = subprocess.run(
        [sys.executable, "-c", UNTIL_FIRST_STEP, "run", str(file), "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    imported = set(ended.stdout.partition("first step ")[2].split())
    assert "torch" in imported, ended.stderr
    assert imported & LATER == used, "digits come with sklearn"


def test_help_is_quick():
    def seconds():
        began = time.perf_counter()
        ended = subprocess.run([sys.executable, "-m", "tickets", "--help"], capture_output=True)
        assert ended.returncode == 0
        return time.perf_counter() - began

    # 0.1 s where nothing else runs; the bound leaves room for a busy machine.
    assert statistics.median(seconds() for _ in range(5)) < 2.0


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(group):
    """The processes of a process group that have not ended."""
    return [
        process
        for process in psutil.process_iter(["status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE and _group_of(process) == group
    ]


def _group_of(process):
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None


def test_ctrl_c_in_a_round_says_how_to_go_on_and_the_same_command_does(
    started, command, campaign_file, contents, tmp_path
):
    # Long enough that the signal comes in the middle of a round, not so long that the test waits for it.
    file, out = (
        campaign_file(tmp_path, rounds=1, train={"steps": 40_000, "evaluate_every": 40_000}),
        tmp_path / "my out",
    )
    process = started("run", file, "--out", out)
    wait_for(lambda: list(out.glob("*/cohort-000/round-000")))
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == f"interrupted; committed rounds are kept. To resume: tickets run {file} --out '{out}'\n"
    assert len(printed.splitlines()) == 3  # what is prunable, what is to do, and round 0
    assert not list(out.rglob("round-001"))
    assert not list(out.rglob(".tmp-*"))
    assert command("run", file, "--out", out).code == 0
    tickets.run(file, out=tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.parametrize("moment", ["as the processes start", "in a round"])
def test_ctrl_c_ends_the_workers_without_noise(moment, started, campaign_file, watcher, contents, tmp_path):
    file, out = (
        campaign_file(tmp_path, rounds=1, train={"steps": 600, "evaluate_every": 600}, sweep={"seed": [0, 1]}),
        tmp_path / "out",
    )
    process = started("run", file, "--out", out, "--workers", "2")
    if moment == "in a round":
        wait_for(lambda: list(out.glob("*/cohort-000/round-000")))
    else:
        wait_for(lambda: len(list(out.glob("*/run.json"))) == 2)
        time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == f"interrupted; committed rounds are kept. To resume: tickets run {file} --out {out} --workers 2\n"
    wait_for(lambda: not alive(process.pid))
    tickets.run(file, out=out)
    tickets.run(file, out=tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


def test_a_pipe_that_is_closed_early_is_no_failure_of_the_run(command, campaign_file, tmp_path, monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            if "round-001" in text:
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
            return super().write(text)

    file, out = campaign_file(tmp_path), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Closed())
        said = command("run", file, "--out", out)
    assert said.code == 1
    assert "Traceback" not in said.err
    (found,) = json.loads(command("status", out, "--json").out)
    assert (found["state"], found["rounds_done"]) == ("partial", 2)
    assert command("run", file, "--out", out).code == 0
