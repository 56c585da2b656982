"""Several processes give the bits of one; one that dies costs its own work alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import tickets
from tickets.store import read_events, status


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
import multiprocessing, os, signal, torch
from pathlib import Path

def net(flag):
    # Only in a process that works for another one: the one that was started by hand looks at the model too.
    if multiprocessing.parent_process() is not None and Path(flag).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))

class Broken(torch.nn.Module):
    def __init__(self, flag):
        super().__init__()
        self.layer, self.flag, self.calls = torch.nn.Linear(64, 10), flag, 0
    def forward(self, x):
        self.calls += self.training
        if self.calls > 10 and Path(self.flag).exists():  # not yet in the steps that are compared with a plain loop
            raise RuntimeError("this network breaks")
        return self.layer(x.flatten(1))

def broken(flag):
    return Broken(flag)
"""


@pytest.fixture
def flag(tmp_path):
    path = tmp_path / "flag"
    path.touch()
    return path


def test_a_process_that_is_killed_fails_its_work_and_the_others_do_the_rest(
    campaign_file, command, module, flag, tmp_path
):
    out = tmp_path / "out"
    models = [{"name": f"{module('fragile', FRAGILE)}:{name}", "flag": str(flag)} for name in ("net", "broken")]
    models += [{"name": "mlp", "widths": [4]}, {"name": "mlp", "widths": [5]}]
    file = campaign_file(tmp_path, rounds=0, sweep={"model": models})
    said = command("run", file, "--out", out, "--workers", "2")
    assert said.code == 1
    killed, broken, last = said.err.splitlines()
    assert killed.endswith(": failed: its process was ended by SIGKILL (is there enough memory?)")
    assert ": failed: RuntimeError: this network breaks (at " in broken
    assert last.startswith("2 of 4 runs failed")
    found = status(out)
    assert [one.state for one in found] == ["failed", "failed", "done", "done"]
    assert found[0].why == "its process was ended by SIGKILL (is there enough memory?)"
    assert found[1].why is not None
    assert broken.endswith(f": failed: {found[1].why}")
    events = read_events(out / found[0].run / "log.jsonl")
    assert [event["event"] for event in events] == ["started", "failed"]
    flag.unlink()
    assert command("run", file, "--out", out).code == 0
    assert [one.state for one in status(out)] == ["done"] * 4


def test_work_that_nobody_is_left_for_fails_too(campaign_file, module, flag, tmp_path):
    fragile = module("fragile", FRAGILE)
    models = [{"name": f"{fragile}:net", "flag": str(flag)}]
    file = campaign_file(tmp_path, rounds=0, sweep={"model": models, "seed": [0, 1, 2]})
    with pytest.raises(RuntimeError) as raised:
        tickets.run(file, out=tmp_path / "out", workers=2)
    reasons = [part.partition(" failed: ")[2] for part in str(raised.value).split("; ")]
    killed = "its process was ended by SIGKILL (is there enough memory?)"
    assert reasons == [killed, killed, "every process had died before this work began"]
    assert [one.why for one in status(tmp_path / "out")] == reasons


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
def test_processes_end_with_the_one_that_started_them(started, campaign_file, tmp_path):
    # Else they would go on writing while the same command, started again, holds the lock.
    out = tmp_path / "out"
    file = campaign_file(tmp_path, train={"steps": 1_000_000}, rounds=0, sweep={"seed": [0, 1]})
    process = started("run", file, "--out", out, "--workers", "2")
    deadline = time.monotonic() + 60
    while len(list(out.glob("*/cohort-000/initial"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    assert len(workers) == 2
    for worker in workers:
        assert signal.SIGINT in blocked(worker.pid)  # Ctrl-C is for the process that was started by hand
    os.kill(process.pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=30)  # until the last of them has closed it
    assert errors == ""
    while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


SHARED = {"replicates": 2, "cohort_size": 1, "rounds": 0}

UNGUARDED = """
import sys, tickets
try:
    tickets.run(sys.argv[1], out=sys.argv[2], workers=2)
except tickets.InputError as error:
    print(error)
"""

FAILING = """
import multiprocessing, sys, tickets
if multiprocessing.current_process().name != "MainProcess":
    sys.exit(3)
try:
    tickets.run(sys.argv[1], out=sys.argv[2], workers=2)
except tickets.InputError as error:
    print(error)
"""

POOL = """
import multiprocessing, sys, tickets

def go(where):
    return len(tickets.run(where[0], out=where[1], workers=2).rounds)

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        try:
            pool.map(go, [sys.argv[1:]])
        except tickets.InputError as error:
            print(error)
"""

ELSEWHERE = """
import multiprocessing, os, sys, tickets

if __name__ == "__main__":
    os.mkdir(sys.argv[2])
    os.chdir(sys.argv[2])
    print(len(tickets.run(sys.argv[1], out="here", workers=2).rounds))
"""


@pytest.fixture
def script(tmp_path, campaign_file):
    """script(source) runs a script that gets a campaign file and a folder; (its folder, the script, what it did)."""

    def run(source):
        folder, path = tmp_path / "saved" / "out", tmp_path / "script.py"
        folder.parent.mkdir()
        path.write_text(source)
        given = [sys.executable, path, campaign_file(tmp_path, **SHARED), folder]
        done = subprocess.run(given, capture_output=True, text=True, check=False, timeout=300)
        return folder, path, done

    return run


def test_a_script_without_a_guard_is_told_how_to_have_one_and_nothing_is_written(script):
    folder, path, done = script(UNGUARDED)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"workers = 2: each process begins by importing {path}, and that trains as it is imported; guard its call:\n\n"
        '    if __name__ == "__main__":\n        tickets.run(...)\n\n'
    )
    assert list(folder.parent.iterdir()) == []


def test_a_script_that_cannot_be_imported_again_is_said_so_and_nothing_is_written(script):
    folder, path, done = script(FAILING)
    assert (done.returncode, done.stderr) == (0, "")
    first = "workers = 2: its process ended with exit code 3 before it was ready; if "
    assert done.stdout.startswith(f"{first}{path} trains as it is imported, guard its call:")
    assert list(folder.parent.iterdir()) == []


def test_a_worker_of_a_pool_is_told_that_it_may_have_none(script):
    folder, _, done = script(POOL)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "workers = 2: this is a worker of a multiprocessing.Pool, or another daemonic process, which may start no "
        "processes; give workers = 1 here, or use concurrent.futures.ProcessPoolExecutor around it\n"
    )
    assert list(folder.parent.iterdir()) == []


def test_processes_work_where_the_one_that_started_them_has_gone_to(script):
    folder, _, done = script(ELSEWHERE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "8\n", "")
    assert [one.state for one in status(folder / "here")] == ["done"]
    assert [path.name for path in folder.iterdir()] == ["here"]
