"""SIGTERM, as a scheduler sends it: the command ends as by Ctrl-C, and goes on from where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import tickets
from tickets.store import read_events
from tickets.termination import Terminated, terminable

# The workers import it, too.
COMMAND = """
import tickets.stack.progress
tickets.stack.progress.WORTHWHILE_S = 0.0
from tickets.command_line.app import main
if __name__ == "__main__":
    main()
"""
LONG = {"replicates": 1, "rounds": 0, "arms": ["ticket"], "train": {"steps": 20_000, "evaluate_every": 20_000}}


def wait_for_rounds(out, count, process=None):
    deadline = time.monotonic() + 120
    while len(list(out.glob("*/cohort-000/initial"))) < count:
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.1)


def assert_goes_on(file, out, contents, whole, count):
    assert not list(out.rglob(".lease-*"))
    assert len(list(out.glob("*/cohort-000/checkpoint.safetensors"))) == count
    assert events(out).count("interrupted") == count
    tickets.run(file, out=out)
    assert events(out).count("resumed") == count
    tickets.run(file, out=whole)
    assert contents(out) == contents(whole)


def test_a_scheduler_ends_the_command_and_its_workers_in_the_middle_of_a_round(campaign_file, contents, tmp_path):
    file, out, script = campaign_file(tmp_path, **LONG, sweep={"seed": [0, 1]}), tmp_path / "out", tmp_path / "main.py"
    script.write_text(COMMAND)
    arguments = ["run", str(file), "--out", str(out), "--workers", "2"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, script, *arguments], start_new_session=True, **streams)
    wait_for_rounds(out, 2, process)
    os.killpg(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert errors == f"interrupted; committed rounds are kept. To resume: tickets {' '.join(arguments)}\n"
    assert_goes_on(file, out, contents, tmp_path / "whole", 2)


def test_a_signal_to_the_command_alone(campaign_file, command, contents, tmp_path, monkeypatch):
    file, out = campaign_file(tmp_path, **LONG), tmp_path / "out"
    monkeypatch.setattr("tickets.stack.progress.WORTHWHILE_S", 0.0)

    def terminate():
        wait_for_rounds(out, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    scheduler = threading.Thread(target=terminate)
    scheduler.start()
    assert command("run", file, "--out", out).code == 143
    scheduler.join()
    assert_goes_on(file, out, contents, tmp_path / "whole", 1)


def events(out):
    return [event["event"] for log in sorted(out.glob("*/log.jsonl")) for event in read_events(log)]


def test_a_second_signal_has_no_effect_and_the_handler_is_put_back():
    before = signal.getsignal(signal.SIGTERM)
    assert before == signal.SIG_DFL

    def ended_twice():
        with terminable():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Terminated):
        ended_twice()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_handler_of_the_callers_own_stays():
    heard = []
    signal.signal(signal.SIGTERM, lambda *_: heard.append(True))
    try:
        with terminable():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert heard == [True]


def test_a_thread_sets_no_handler():
    found = []

    def ask():
        with terminable():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]
