"""Signals that end the process which waits for an executor: what is in training stops, and goes on later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from played_executors import Instant, Never

import tickets
from tickets.store import read_events
from tickets.termination import Terminated

SMALL = {"replicates": 2, "cohort_size": 1, "rounds": 1, "arms": ["ticket", "reinit"]}
LONG = {"replicates": 1, "rounds": 0, "arms": ["ticket"], "train": {"steps": 60_000, "evaluate_every": 60_000}}


@pytest.fixture
def interrupts():
    """Ctrl-C interrupts, also where this process was started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_an_executor_that_runs_nothing_is_left_by_a_signal(number, kind, campaign_file, interrupts, tmp_path):
    file, out = campaign_file(tmp_path, **SMALL), tmp_path / "out"
    timer = threading.Timer(0.3, os.kill, (os.getpid(), number))
    executor = Never(lambda: timer.start() if len(executor.futures) == 2 else None)
    with pytest.raises(kind):
        tickets.run(file, out=out, executor=executor)
    assert [future.cancelled() for future in executor.futures] == [True, True]
    assert not list(out.rglob(".lease-*"))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert len(list(out.glob(".tmp-stop-*"))) == 1
    tickets.run(file, out=out)
    assert not list(out.glob(".tmp-*"))


def test_what_is_in_training_stops_saves_its_round_and_goes_on(
    campaign_file, interrupts, contents, tmp_path, monkeypatch
):
    monkeypatch.setattr("tickets.executor_process.LOOK_S", 0.05)
    file, out = campaign_file(tmp_path, **LONG, store={"checkpoint_minutes": 5e-4}), tmp_path / "out"

    def press():
        while not list(out.glob("*/cohort-000/checkpoint.safetensors")):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    presses = threading.Thread(target=press, daemon=True)
    presses.start()
    with ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt):
        tickets.run(file, out=out, executor=executor)
    presses.join()
    (log,) = out.glob("*/log.jsonl")
    assert [event["event"] for event in read_events(log)] == ["started", "interrupted"]
    assert not list(out.rglob(".lease-*"))
    tickets.run(file, out=out, executor=Instant())
    assert [event["event"] for event in read_events(log)][2:] == ["started", "resumed", "round"]
    tickets.run(file, out=tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


SCRIPT = """
import sys, tickets
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn")) as executor:
        tickets.run(sys.argv[1], out=sys.argv[2], executor=executor)
"""


@pytest.mark.torture
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to_all", [True, False])
def test_a_script_with_a_pool_ends_soon_by_a_signal_and_loses_little(number, to_all, campaign_file, contents, tmp_path):
    steps = {"steps": 100_000, "evaluate_every": 100_000}
    given = {**LONG, "replicates": 4, "cohort_size": 1, "train": steps, "store": {"checkpoint_minutes": 1e-2}}
    file, out, script = campaign_file(tmp_path, **given), tmp_path / "out", tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, script, file, out], start_new_session=True, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while len(list(out.glob("*/cohort-*/checkpoint.safetensors"))) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    (os.killpg if to_all else os.kill)(process.pid, number)
    began = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 15
    assert process.returncode != 0
    assert errors.rstrip().splitlines()[-1].startswith(("KeyboardInterrupt", "tickets.termination.Terminated"))
    assert not list(out.rglob(".lease-*"))
    (log,) = out.glob("*/log.jsonl")
    assert [event["event"] for event in read_events(log)].count("interrupted") == 2
    tickets.run(file, out=out)
    assert [event["event"] for event in read_events(log)].count("resumed") == 2
    tickets.run(file, out=tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")
