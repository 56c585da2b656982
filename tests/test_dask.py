"""Campaigns on a real Dask cluster: workers and the scheduler are killed, and the bits are those of one process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from played_executors import once_training

import tickets
from tickets.errors import ExecutorError
from tickets.store import read_events, run_folders, status, verify

distributed = pytest.importorskip("distributed", reason="Dask is not installed (the extra [dask])")

pytestmark = pytest.mark.filterwarnings("ignore")  # Dask's own

SMALL = {"replicates": 2, "cohort_size": 1, "rounds": 1, "arms": ["ticket", "reinit"]}
LONG = {**SMALL, "train": {"steps": 3000, "evaluate_every": 3000}}
SETTINGS = {"distributed.comm.timeouts.connect": "3s", "distributed.admin.log-format": "%(message)s"}


@contextmanager
def cluster(**options):
    import dask

    given = {"dashboard_address": ":0", "threads_per_worker": 1, **options}
    with dask.config.set(SETTINGS), distributed.LocalCluster(**given) as it, distributed.Client(it) as client:
        yield client


@pytest.fixture
def whole(contents, tmp_path):
    """whole(file) is what one process makes of a campaign."""

    def run(file):
        tickets.run(file, out=tmp_path / "whole")
        return contents(tmp_path / "whole")

    return run


def events(out):
    return [event for run in run_folders(out) for event in read_events(run / "log.jsonl")]


def test_dasks_executor_gives_the_bits_and_events_of_one_process(campaign_file, watcher, contents, whole, tmp_path):
    file, listener = campaign_file(tmp_path, **SMALL), watcher()
    with cluster(n_workers=1, processes=False) as client:
        tickets.run(file, out=tmp_path / "out", executor=client.get_executor(), listener=listener)
    assert contents(tmp_path / "out") == whole(file)
    assert sorted(listener.trained) == sorted(f"cohort-00{c}/round-00{r}" for c in (0, 1) for r in (0, 1))
    assert listener.networks == listener.promised


def test_a_dask_worker_that_is_killed_is_replaced_and_its_cohort_trained_elsewhere(
    campaign_file, contents, whole, tmp_path
):
    file, out = campaign_file(tmp_path, **LONG), tmp_path / "out"
    with cluster(n_workers=2, processes=True) as client:
        killer = once_training(out, lambda process: os.kill(process, signal.SIGKILL))
        tickets.run(file, out=out, executor=client.get_executor())
        killer.join()
    assert len([one for one in events(out) if one["event"] == "started"]) == 3
    assert len({one["process"] for one in events(out) if one["event"] == "started"}) >= 2
    assert contents(out) == whole(file)
    assert verify(out) == []


def test_an_interrupt_here_stops_what_dask_trains_elsewhere(campaign_file, contents, whole, tmp_path):
    long = {"steps": 200_000, "evaluate_every": 200_000}
    file, out = campaign_file(tmp_path, **{**SMALL, "replicates": 1, "rounds": 0, "train": long}), tmp_path / "out"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with cluster(n_workers=1, processes=True) as client:
            presses = once_training(out, lambda process: os.kill(os.getpid(), signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):
                tickets.run(file, out=out, executor=client.get_executor())
            presses.join()
            deadline = time.monotonic() + 20
            while list(out.rglob(".lease-*")):
                assert time.monotonic() < deadline
                time.sleep(0.1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [one["event"] for one in events(out)] == ["started", "interrupted"]


KILLS = """
import multiprocessing, os, torch
def net(kills):
    if kills and multiprocessing.parent_process() is not None:
        os._exit(9)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
"""


def test_work_that_kills_dasks_workers_fails_alone(campaign_file, module, tmp_path):
    import dask

    model = {"name": f"{module('kills', KILLS)}:net", "kills": True}
    file = campaign_file(tmp_path, replicates=1, rounds=0, model=model, sweep={"model.kills": [True, False]})
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        cluster(n_workers=2, processes=True) as client,
        pytest.raises(RuntimeError) as raised,
    ):
        tickets.run(file, out=tmp_path / "out", executor=client.get_executor())
    assert "executor distributed.cfexecutor.ClientExecutor: KilledWorker: " in str(raised.value)
    assert str(raised.value).endswith("; committed rounds are kept; the same call tries it again")
    assert sorted(one.state for one in status(tmp_path / "out")) == ["done", "failed"]


@pytest.mark.torture
def test_many_runs_are_trained_once_each_while_workers_are_killed(campaign_file, contents, whole, tmp_path):
    file, out = campaign_file(tmp_path, **SMALL, sweep={"seed": list(range(20))}), tmp_path / "out"
    over, killed = threading.Event(), []

    def kill():
        while len(killed) < 5 and not over.wait(4.0):
            if started := [one["process"] for one in events(out) if one["event"] == "started"]:
                with suppress(ProcessLookupError):
                    os.kill(started[-1], signal.SIGKILL)
                    killed.append(started[-1])

    with cluster(n_workers=2, processes=True) as client:
        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        tickets.run(file, out=out, executor=client.get_executor())
        over.set()
        killer.join()
    assert killed
    rounds = [(run.name, one["cohort"], one["round"]) for run in run_folders(out)
              for one in read_events(run / "log.jsonl") if one["event"] == "round"]  # fmt: skip
    assert len(rounds) == len(set(rounds)) == 20 * 2 * 2
    assert contents(out) == whole(file)
    assert verify(out) == []


@pytest.mark.torture
def test_the_same_call_goes_on_after_dasks_scheduler_was_killed(campaign_file, contents, whole, tmp_path):
    file, out = campaign_file(tmp_path, **LONG), tmp_path / "out"

    def start(*arguments):
        return subprocess.Popen([sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]])

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    scheduler = start("dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    workers = [start("dask_worker", address, "--nthreads", "1", "--no-dashboard") for _ in range(2)]
    try:
        with distributed.Client(address, timeout="60s") as client:
            killer = once_training(out, lambda process: scheduler.kill())
            began = time.monotonic()
            with pytest.raises(ExecutorError) as raised:
                tickets.run(file, out=out, executor=client.get_executor())
            killer.join()
        assert time.monotonic() - began < 120
        assert str(raised.value).startswith("executor distributed.cfexecutor.ClientExecutor has broken: ")
        print(raised.value)
        assert str(raised.value).endswith("; committed rounds are kept; the same call with a new executor goes on")
    finally:
        for process in [scheduler, *workers]:
            process.terminate()
        for process in [scheduler, *workers]:
            process.wait(60)
    with cluster(n_workers=1, processes=True) as client:
        tickets.run(file, out=out, executor=client.get_executor())
    assert contents(out) == whole(file)
    assert verify(out) == []
