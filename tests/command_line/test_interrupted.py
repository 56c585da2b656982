"""Ctrl-C and a closed pipe: how the command ends, and that the same command goes on."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import sys
import time

import psutil
import pytest

import tickets
from tickets.store import read_events


def wait_for(condition, seconds=300.0):
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
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert errors == f"interrupted; committed rounds are kept. To resume: tickets run {file} --out '{out}'\n"
    assert len(printed.splitlines()) == 3  # what is prunable, what is to do, and round 0
    assert not list(out.rglob("round-001"))
    assert not list(out.rglob(".tmp-*"))
    assert command("run", file, "--out", out).code == 0
    tickets.run(file, out=tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    "moment",
    [
        "as the processes start",
        pytest.param("in a round", marks=pytest.mark.torture),  # see test_terminated.py for the same by SIGTERM
        "in a round, one is stopped",
    ],
)
def test_ctrl_c_ends_the_workers_without_noise(moment, started, campaign_file, watcher, contents, tmp_path, request):
    file, out = (
        campaign_file(tmp_path, rounds=1, train={"steps": 600, "evaluate_every": 600}, sweep={"seed": [0, 1]}),
        tmp_path / "out",
    )
    if moment != "as the processes start":
        request.getfixturevalue("preloaded_workers")
    process = started("run", file, "--out", out, "--workers", "2")
    if moment != "as the processes start":
        wait_for(lambda: list(out.glob("*/cohort-000/round-000")))
        if moment != "in a round":
            events = [event for log in out.glob("*/log.jsonl") for event in read_events(log)]
            psutil.Process(next(one["process"] for one in events if one["event"] == "started")).suspend()
    else:
        wait_for(lambda: len(list(out.glob("*/run.json"))) == 2)
        time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=300)
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
