"""Workers of a real Slurm that are killed, cancelled, queued again and timed out, while slurmctld is restarted.

TORTURE_RUNS, TORTURE_WORKERS, TORTURE_MINUTES and TORTURE_SEED (1000, 8, 5 and 0) make it smaller, larger or another
one. The minutes are the time limit of a worker, of which Slurm's warning takes 2 to 3.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

import tickets
from tickets.scheduling.queue import elements, live_elements
from tickets.store import read_events, run_folders, status, verify

RUNS, WORKERS, MINUTES, SEED = (
    int(os.environ.get(f"TORTURE_{name}", default))
    for name, default in (("RUNS", "1000"), ("WORKERS", "8"), ("MINUTES", "5"), ("SEED", "0"))
)
LOOK = 2.0  # seconds between two looks at the queue
KILLED = 0.05  # the share of running workers that is killed in each period
PERIOD = 20.0  # seconds
AGAIN = 20.0  # seconds between two submissions
LONGEST = 1.33  # the time that it may take, by that of a clean pass

CAMPAIGN = {
    "replicates": 1,
    "rounds": 1,
    "arms": ["ticket", "reinit"],
    "train": {"steps": 1000, "evaluate_every": 500},
    "sweep": {"seed": list(range(RUNS))},
}


@pytest.fixture
def cluster(running, tmp_path, monkeypatch):
    with running(processors=WORKERS) as started:
        for name, value in started.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        yield started


@pytest.mark.torture
def test_each_run_is_trained_once_whatever_happens_to_its_workers(cluster, command, started, campaign_file, tmp_path):
    file = campaign_file(tmp_path, **CAMPAIGN)
    single = tmp_path / "single"
    tickets.run(file, out=single)

    clean = tmp_path / "clean"
    clean_seconds = _pass(command, file, clean, ["--minutes", 600], lambda since: None)
    hurt = tmp_path / "hurt"
    trouble = _Trouble(cluster, started, file, hurt, clean_seconds)
    hurt_seconds = _pass(command, file, hurt, trouble.options, trouble)
    trouble.end()
    trouble.done["ended by the limit"] = _ended_by_the_limit(hurt)
    print(f"{clean_seconds:.0f} s clean, {hurt_seconds:.0f} s with {trouble.done}")

    wanted = _results(single)
    assert len(run_folders(single)) == RUNS
    for out in (clean, hurt):
        assert [one.state for one in status(out)] == ["done"] * RUNS
        assert verify(out) == []
        assert _results(out) == wanted
        for run in run_folders(out):
            events = [event for event in read_events(run / "log.jsonl") if event["event"] == "round"]
            assert sorted((event["cohort"], event["round"], event["part"]) for event in events) == [
                (0, 0, 0),
                (0, 1, 0),
            ]
    assert all(trouble.done.values()), trouble.done
    assert hurt_seconds <= LONGEST * clean_seconds


def _pass(command, file, out, options, trouble):
    """The seconds in which workers train a campaign; whenever there are too few of them, others are submitted."""
    again = ["submit", file, "--slurm", "--out", out, "--array", WORKERS, *options]
    began, last = time.monotonic(), -1000.0
    while True:
        since = time.monotonic() - began
        trouble(since)
        with suppress(tickets.errors.InputError):  # slurmctld may be away
            live = len(live_elements(out))
            if live < WORKERS and since - last > (AGAIN if live else 0):
                said = command(*again)
                last = time.monotonic() - began
                assert said.code == 0 or since > AGAIN, said
                if said.out.startswith("0 cohorts to do: nothing") and not live:
                    return time.monotonic() - began
        time.sleep(LOOK)


class _Trouble:
    """Called with the seconds since the beginning, again and again: what happens to the workers meanwhile."""

    options = ("--minutes", 5)  # which `shorten` makes MINUTES

    def __init__(self, cluster, started, file, out, expected):
        self.cluster, self.started, self.file, self.out = cluster, started, file, out
        self.random = random.Random(SEED)
        self.done = {"killed": 0, "cancelled": 0, "queued again": 0, "restarted": 0, "two submissions at once": 0}
        self.at_once, self.begun = ThreadPoolExecutor(1), list[Future[None]]()
        self.shortened: set[str] = set()
        self.next_kill = PERIOD
        self.next_heal = float("inf")
        # At these parts of the time that a clean pass took.
        self.planned = [(part * expected, what) for part, what in (
            (0.15, self.requeue), (0.25, self.cancel), (0.3, self.submit_twice), (0.4, self.kill_one),
            (0.45, self.restart), (0.6, self.requeue), (0.7, self.cancel), (0.75, self.submit_twice),
        )]  # fmt: skip

    def __call__(self, since):
        while self.planned and self.planned[0][0] < since:
            self.begun.append(self.at_once.submit(self.planned.pop(0)[1]))
        self.shorten()
        if since > self.next_heal:
            self.next_heal = since + PERIOD / 2
            self.cluster.heal()
        while since > self.next_kill:
            self.next_kill += PERIOD
            self.kill([process for process in _workers(self.out) if self.random.random() < KILLED])

    def shorten(self):
        """Give workers less time than `tickets submit` can."""
        with suppress(RuntimeError, tickets.errors.InputError):  # slurmctld may be away
            for job in {element.id.partition("_")[0] for _, element in live_elements(self.out)} - self.shortened:
                self.cluster.call("scontrol", "update", f"JobId={job}", f"TimeLimit={MINUTES}")
                self.shortened.add(job)

    def end(self):
        """Wait for what has not ended, and raise its error."""
        for one in self.begun:
            one.result()

    def kill_one(self):
        self.kill(_workers(self.out)[:1])

    def kill(self, processes):
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
                self.done["killed"] += 1

    def requeue(self):
        self.to_one_that_runs("queued again", "scontrol", "requeue")

    def cancel(self):
        self.to_one_that_runs("cancelled", "scancel")

    def to_one_that_runs(self, what, *command):
        found = [one for one in elements(self.out) if one.state == "running"]
        if found:
            with suppress(RuntimeError):  # it may have ended
                self.cluster.call(*command, self.random.choice(found).id)
                self.done[what] += 1

    def restart(self):
        self.cluster.kill_controller()
        time.sleep(2)
        self.cluster.start_controller()
        self.done["restarted"] += 1
        self.next_heal = 0

    def submit_twice(self):
        again = ["submit", self.file, "--slurm", "--out", self.out, "--array", WORKERS, *self.options]
        both = [self.started(*again, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
        assert [process.wait() for process in both] == [0, 0]
        assert len(live_elements(self.out)) <= WORKERS
        self.done["two submissions at once"] += 1


def _ended_by_the_limit(out):
    """How often a worker was told to end and asked Slurm for another turn."""
    return sum(path.read_text(errors="replace").count(" is queued again\n") for path in out.glob("jobs/*.out"))


def _workers(out):
    """The processes of this machine that train a campaign as workers."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0") if process.name.isdigit() else []
            if b"--worker" in words and os.fsencode(out) in words:
                found.append(int(process.name))
    return found


def _results(out):
    """What training has given: masks and values bit for bit, and the tables without the clock's readings."""
    found = {}
    for run in run_folders(out):
        for path in sorted(run.rglob("*")):
            if path.suffix == ".safetensors":
                found[str(path.relative_to(out))] = path.read_bytes()
            elif path.suffix == ".parquet":
                found[str(path.relative_to(out))] = (
                    pd.read_parquet(path).drop(columns="seconds", errors="ignore").to_csv()
                )
    return found
