"""SIGTERM, as a scheduler sends it: the command ends as by Ctrl-C, and goes on from where it was."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

import tickets
from tickets.stack.calls import Calls
from tickets.stack.progress import Progress
from tickets.store import read_events
from tickets.termination import Terminated, terminable

LONG = {"replicates": 1, "rounds": 0, "arms": ["ticket"], "train": {"steps": 20_000, "evaluate_every": 20_000}}


def saved_in(out):
    return list(out.glob("*/cohort-000/checkpoint.safetensors"))


def assert_goes_on(file, out, contents, whole):
    assert not list(out.rglob(".lease-*"))
    resumed = len(saved_in(out))
    tickets.run(file, out=out)
    assert events(out).count("resumed") == resumed
    tickets.run(file, out=whole)
    assert contents(out) == contents(whole)


def test_a_scheduler_ends_the_command_and_its_workers_in_the_middle_of_a_round(
    started, preloaded_workers, campaign_file, contents, tmp_path
):
    changes = {**LONG, "sweep": {"seed": [0, 1]}, "store": {"checkpoint_minutes": 5e-4}}
    file, out = campaign_file(tmp_path, **changes), tmp_path / "out"
    process, deadline = started("run", file, "--out", out, "--workers", "2"), time.monotonic() + 120
    while not saved_in(out):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert errors == f"interrupted; committed rounds are kept. To resume: tickets run {file} --out {out} --workers 2\n"
    assert events(out).count("interrupted") >= len(saved_in(out)) >= 1
    assert_goes_on(file, out, contents, tmp_path / "whole")


def test_a_signal_to_the_command_alone_saves_the_round(campaign_file, command, contents, tmp_path, monkeypatch):
    file, out = campaign_file(tmp_path, **LONG), tmp_path / "out"
    monkeypatch.setattr("tickets.stack.progress.WORTHWHILE_S", 0.0)
    begins, waits, begin, answer = threading.Event(), threading.Event(), Progress.begin, Calls.answer

    def begun(progress, shard):
        begins.set()
        return begin(progress, shard)

    def answered(calls, until):
        waits.set()
        return answer(calls, until)

    def terminate():
        assert begins.wait(120)
        assert waits.wait(120)
        os.kill(os.getpid(), signal.SIGTERM)

    scheduler = threading.Thread(target=terminate)
    scheduler.start()
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "begin", begun)
        patch.setattr(Calls, "answer", answered)
        assert command("run", file, "--out", out).code == 143
    scheduler.join()
    assert len(saved_in(out)) == 1
    assert events(out) == ["started", "interrupted"]
    assert_goes_on(file, out, contents, tmp_path / "whole")


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
