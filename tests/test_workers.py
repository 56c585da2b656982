"""Several processes give the bits of one; one that dies is replaced."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import signal
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

import tickets
from tickets.last_lines import LastLines
from tickets.store import read_events, status
from tickets.worker_process import Death, Worker

pytestmark = pytest.mark.usefixtures("preloaded")


def test_two_processes_give_the_bits_of_one(campaign_file, watcher, contents, tmp_path):
    changes = {"replicates": 2, "cohort_size": 1, "rounds": 1, "rewind": {"step": 5}}
    file = campaign_file(tmp_path, sweep={"seed": [0, 1]}, **changes)
    listeners = [watcher(), watcher()]
    tickets.run(file, out=tmp_path / "one", listener=listeners[0])
    tickets.run(file, out=tmp_path / "two", workers=2, listener=listeners[1])
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    one, two = listeners
    assert two.networks == two.promised == one.networks
    assert sorted((done.run, done.folder) for done in two.rounds) == sorted(
        (done.run, done.folder) for done in one.rounds
    )


FRAGILE = """
import ctypes, multiprocessing, os, signal, sys, torch
from pathlib import Path

def here(flag):
    # Only in a process that works for another one: the one that was started by hand looks at the model too.
    return multiprocessing.parent_process() is not None and Path(flag).exists()

class Killed(torch.nn.Module):
    def __init__(self, flag):
        super().__init__()
        self.layer, self.flag = torch.nn.Linear(64, 10), Path(flag)
    def forward(self, x):
        if self.training and here(self.flag) and list(self.flag.parent.glob("out/*/cohort-000/round-000")):
            self.flag.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.layer(x.flatten(1))

def crashes(flag):
    if here(flag):
        tries = Path(flag).read_text()
        Path(flag).write_text(tries + "x")
        print(f"the \\x1b[31mdriver, try {len(tries)}", file=sys.stderr, flush=True)
        ctypes.string_at(0) if len(tries) == 1 else os._exit(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))

def stops(flag):
    if here(flag):
        raise KeyboardInterrupt("of its own")
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))

def differs(flag):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10, bias=not here(flag)))
"""


@pytest.fixture
def flag(tmp_path):
    path = tmp_path / "flag"
    path.touch()
    return path


def test_a_process_that_dies_is_replaced_and_its_work_tried_again_at_most_twice(
    campaign_file, watcher, contents, module, flag, tmp_path, capfd
):
    out, fragile, flags = tmp_path / "out", module("fragile", FRAGILE), {}
    for name in ("Killed", "crashes", "stops", "differs"):
        flags[name] = tmp_path / f"flag-{name}"
        flags[name].touch()
    models = [{"name": f"{fragile}:{name}", "flag": str(path)} for name, path in flags.items()]
    file = campaign_file(tmp_path, rounds=1, sweep={"model": models})
    listener = watcher()
    with pytest.raises(RuntimeError) as raised:
        tickets.run(file, out=out, workers=2, listener=listener)
    killed, crashed, stopped, differs = status(out)
    assert [one.state for one in (killed, crashed, stopped, differs)] == ["done", "failed", "failed", "failed"]
    ended = "its process ended with exit code 0 (its last line: the \\x1b[31mdriver, try "
    line = FRAGILE[: FRAGILE.index("string_at")].count("\n") + 1
    at = f"{tmp_path}/modules/{fragile}.py:{line}, in crashes"
    reasons = [f"{ended}0)", f"its process was ended by SIGSEGV (at {at})", f"{ended}2)"]
    assert crashed.why == "; ".join(f"try {number}: {why}" for number, why in enumerate(reasons, 1))
    assert str(stopped.why).startswith("KeyboardInterrupt: of its own (at ")
    assert "is not the network that this run began with: its outputs" in str(differs.why)
    failed = "; ".join(f"{one.run} failed: {one.why}" for one in (crashed, stopped, differs))
    assert str(raised.value) == failed

    notes = [text for text in listener.said if " of 3 begins" in text]
    name = f"{crashed.run}/cohort-000"
    assert [text for text in notes if name in text] == [
        f"{name}: {why}; try {number} of 3 begins" for number, why in enumerate(reasons[:2], 2)
    ]
    assert [text for text in notes if killed.run in text] == [
        f"{killed.run}/cohort-000: its process was killed by SIGKILL; try 2 of 3 begins"
    ]
    # The steps of the round that was lost are taken back.
    assert listener.networks == 2 * 2 * 4 * 20

    events = list(read_events(out / crashed.run / "log.jsonl"))
    assert [event["event"] for event in events] == ["started", "retry"] * 2 + ["started", "failed"]
    assert [event["why"] for event in events[1::2]] == [*reasons[:2], crashed.why]
    assert events[1]["last_lines"] == ["the \\x1b[31mdriver, try 0"]
    assert events[3]["last_lines"][0] == "Fatal Python error: Segmentation fault"
    assert f'  File "{tmp_path}/modules/{fragile}.py", line {line} in crashes' in events[3]["last_lines"]
    assert "the \x1b[31mdriver, try 0\n" in capfd.readouterr().err  # what it wrote was passed on as it was

    # The second try went on after the round that was committed; its bits are those of a run that nothing disturbed.
    assert [event["event"] for event in read_events(out / killed.run / "log.jsonl")] == [
        "started", "round", "retry", "started", "round"
    ]  # fmt: skip
    alone = campaign_file(tmp_path / "alone", rounds=1, model=models[0])
    tickets.run(alone, out=tmp_path / "whole")
    assert contents(out / killed.run) == contents(tmp_path / "whole" / killed.run)


class Dying(Worker):
    """Is ready, and killed as soon as it gets work."""

    @classmethod
    def start(cls):
        ours, theirs = multiprocessing.Pipe()
        theirs.close()
        return cls(Mock(exitcode=-9, is_alive=lambda: False), ours, LastLines())

    def receive(self):
        return ("died", Death("its process was killed by SIGKILL", (), False, -9)) if self.ready else ("ready", None)


def test_work_that_no_process_is_left_for_says_why(campaign_file, tmp_path, monkeypatch):
    file, started = campaign_file(tmp_path, rounds=0, sweep={"seed": [0, 1]}), []

    def twice():
        started.append(True)
        if len(started) > 2:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return Dying.start()

    monkeypatch.setattr(Worker, "start", twice)
    with pytest.raises(RuntimeError):
        tickets.run(file, out=tmp_path / "out", workers=2)
    why = "no process is left to train it: no process can be started (Resource temporarily unavailable)"
    assert len(started) == 2 + 3
    for one in status(tmp_path / "out"):
        assert one.why == f"try 1: its process was killed by SIGKILL; try 2: {why}"


def test_what_cannot_be_sent_to_a_process_is_said_in_one_line():
    worker = Worker(process=None, pipe=None, stderr=LastLines())
    why = worker.give(lambda: 0, print)
    assert re.fullmatch(r"cannot be sent to another process: \w+: .*lambda.*", why)
    assert worker.work is None


FULL = """
def net(flag):
    import multiprocessing, os, torch
    if multiprocessing.parent_process() is not None:
        def fsync(descriptor):
            raise OSError(28, "No space left on device")
        os.fsync = fsync
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
"""


def test_a_full_disk_stops_every_process(campaign_file, command, module, flag, tmp_path):
    model = {"name": f"{module('full', FULL)}:net", "flag": str(flag)}
    file = campaign_file(tmp_path, rounds=0, model=model, sweep={"seed": [0, 1]})
    said = command("run", file, "--out", tmp_path / "out", "--workers", "2")
    assert said.code == 1
    assert said.err.startswith("error: no space left in ")
    assert len(said.err.splitlines()) == 1


def blocked(pid):
    """The signals that a process has blocked, as Linux says."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigBlk:"))
    bits = int(line.split()[1], 16)
    return {number for number in signal.valid_signals() if bits >> (number - 1) & 1}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="signal masks are read from /proc")
def test_processes_end_with_the_one_that_started_them(started, preloaded_workers, campaign_file, tmp_path):
    # Else they would go on writing while the same command, started again, holds the lock.
    out = tmp_path / "out"
    file = campaign_file(tmp_path, train={"steps": 1_000_000}, rounds=0, sweep={"seed": [0, 1]})
    process = started("run", file, "--out", out, "--workers", "2")
    deadline = time.monotonic() + 300
    while len(list(out.glob("*/cohort-000/initial"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    logged = [event for log in out.glob("*/log.jsonl") for event in read_events(log)]
    numbers = {event["process"] for event in logged if event["event"] == "started"}
    workers = [child for child in children if child.pid in numbers]
    assert len(workers) == 2
    for worker in workers:
        assert signal.SIGINT in blocked(worker.pid)  # Ctrl-C is for the process that was started by hand
    if sys.platform == "linux":
        workers[0].suspend()  # the kernel ends it all the same
    os.kill(process.pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=120)  # until the last of them has closed it
    assert errors == ""
    while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)
