"""A campaign that is interrupted or killed and goes on: the bits must be those of one that never was."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tiny_campaigns import VARIANTS, stamps

import tickets
from tickets.store import read_events, run_folders, status, verify

pytestmark = pytest.mark.usefixtures("preloaded")


def left_over(folder):
    return list(folder.rglob(".tmp-*"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_interrupted_after_every_commit_it_gives_the_same_bits(variant, uninterrupted, watcher, contents, tmp_path):
    file, wanted = uninterrupted(variant)
    committed = []
    for _ in range(20):
        listener = watcher(stop=(1, 0))
        try:
            tickets.run(file, out=tmp_path / "out", listener=listener)
        except KeyboardInterrupt:
            committed += listener.trained
            continue
        break
    assert listener.rounds == []
    # Every round was trained once, and no start trained again what another had.
    assert len(committed) == len(set(committed)) == (6 if variant.startswith("cohorts") else 3)
    assert contents(tmp_path / "out") == wanted
    assert not left_over(tmp_path)
    assert verify(tmp_path / "out") == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_interrupted_in_the_middle_of_every_round_it_gives_the_same_bits(
    variant, uninterrupted, watcher, contents, tmp_path
):
    file, wanted = uninterrupted(variant)
    listener, interrupted = watcher(stop=(0, 3)), 0
    for _ in range(20):
        try:
            tickets.run(file, out=tmp_path / "out", listener=listener)
            break
        except KeyboardInterrupt:
            interrupted, listener = interrupted + 1, watcher(stop=(1, 7))
    assert interrupted == (6 if variant.startswith("cohorts") else 3)
    assert contents(tmp_path / "out") == wanted
    assert not left_over(tmp_path)
    events = [event["event"] for event in read_events(run_folders(tmp_path / "out")[0] / "log.jsonl")]
    assert events.count("interrupted") == interrupted


def test_interrupted_between_the_rewind_values_and_round_0_it_gives_the_same_bits(
    uninterrupted, contents, tmp_path, monkeypatch
):
    file, wanted = uninterrupted("rewind")
    with monkeypatch.context() as patch:
        patch.setattr("tickets.cohort.write_round", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            tickets.run(file, out=tmp_path / "out")
    (cohort,) = run_folders(tmp_path / "out")[0].glob("cohort-*")
    assert sorted(path.name for path in cohort.iterdir()) == ["initial", "rewind"]
    tickets.run(file, out=tmp_path / "out")
    assert contents(tmp_path / "out") == wanted


KILLED = """
import os, signal, sys, tickets
from tickets.listener import Steps
steps = 0
def killer(event):
    global steps
    steps += isinstance(event, Steps)
    if steps == 30:
        os.kill(os.getpid(), signal.SIGKILL)
tickets.run(sys.argv[1], out=sys.argv[2], listener=killer)
"""


def test_killed_in_the_middle_of_a_round_it_gives_the_same_bits(uninterrupted, contents, tmp_path):
    file, wanted = uninterrupted("rewind")
    out = tmp_path / "out"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(file), str(out)])
    assert killed.returncode == -9
    assert [one.state for one in status(out)] == ["partial"]
    # What a process that is killed while it writes leaves behind is swept.
    half = next(out.glob("*/cohort-000")) / f".tmp-round-001-{'0' * 32}"
    half.mkdir()
    (half / "masks.safetensors").write_bytes(b"half")
    assert verify(out) == []
    tickets.run(file, out=out)
    assert contents(out) == wanted
    assert not left_over(tmp_path)


def test_the_same_command_again_trains_and_touches_nothing(campaign_file, watcher, tmp_path):
    file, out = campaign_file(tmp_path), tmp_path / "out"
    first = watcher()
    tickets.run(file, out=out, listener=first)
    assert first.networks == first.promised == 2 * 3 * 4 * 20
    before = stamps(out)
    again = watcher()
    tickets.run(file, out=out, listener=again)
    assert (again.networks, again.promised, again.rounds, again.said, again.there) == (0, 0, [], [], 3)
    assert stamps(out) == before
