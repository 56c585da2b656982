"""What is shown while a campaign runs: lines with the time for files, a bar on a terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
from datetime import datetime

import pytest

from tickets.command_line.progress import Lines, line, make_listener
from tickets.listener import Begun, RoundDone, Steps

DONE = RoundDone(
    run="digits-mlp",
    folder="cohort-000/round-003",
    density=0.512,
    accuracy={"ticket": 0.98765, "reinit": float("nan")},
    diverged=2,
    seconds=12.345,
)


def test_a_round_is_described_in_one_line():
    assert line(DONE) == (
        "digits-mlp cohort-000/round-003  density 0.5120  ticket 98.77  reinit nan  (2 diverged)  (12.3 s)"
    )
    assert "diverged" not in str(line(RoundDone("a", "b", 1.0, {"ticket": 0.5}, 0, 1.0)))


@pytest.mark.parametrize(
    ("runs", "work", "there", "text"),
    [
        (1, 12345, 0, "1 run, 12,345 training steps to take"),
        (2, 20, 3, "2 runs, 20 training steps to take, 3 rounds are there already"),
        (1, 0, 17, "1 run, nothing is missing, 17 rounds are there already"),
        (2, 20, 1, "2 runs, 20 training steps to take, 1 round is there already"),
    ],
)
def test_what_is_to_do_is_said_in_one_line(runs, work, there, text, capsys):
    Lines()(Begun(runs, work, there))
    time, _, said = capsys.readouterr().out.rstrip("\n").partition(" ")
    assert said == text
    assert datetime.fromisoformat(time).tzinfo is not None


def test_steps_are_not_worth_a_line(capsys):
    Lines()(Steps(5))
    assert capsys.readouterr().out == ""


def test_where_there_is_no_terminal_it_is_lines(capsys):
    with make_listener() as listener:
        assert isinstance(listener, Lines)


def test_no_word_of_the_bar_or_of_a_line_is_cut_at_40_columns(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm-256color")
    with make_listener() as listener:
        listener(Begun(1, 100, 0))
        listener(Steps(30))
        listener(DONE)
    printed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "…" not in printed
    assert re.search(r"training \S+ +30% \d:\d\d:\d\d left", printed)
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", printed)]
    assert "digits-mlp cohort-000/round-003  density" in lines
    assert "0.5120  ticket 98.77  reinit nan  (2" in lines


def test_a_pipe_gets_one_line_a_round_that_begins_with_the_time(command, campaign_file, tmp_path):
    said = command("run", campaign_file(tmp_path), "--out", tmp_path / "out")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()[:5]
    for text in lines:
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d ", text)
    assert lines[0].endswith(" model mlp: prunable: all 592 weights, in 2 tensors")
    for number, text in enumerate(lines[2:]):
        assert f" cohort-000/round-{number:03d}  density " in text
        assert re.search(r"  ticket \d+\.\d\d  reinit \d+\.\d\d  random_mask \d+\.\d\d  \(\d+\.\d s\)$", text)
    assert "\x1b" not in said.out


def test_a_terminal_gets_a_live_bar_and_a_line_a_round(started, campaign_file, tmp_path):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "150"}
    process = started("run", campaign_file(tmp_path), "--out", tmp_path / "out", stdout=theirs, env=environment)
    os.close(theirs)
    printed = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # what Linux says when the other end is closed
            break
        if not piece:
            break
        printed += piece
    os.close(ours)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    text = printed.decode()
    assert "training" in text
    assert "100%" in text
    assert "left" in text
    assert "\x1b[" in text  # it is redrawn in place
    for number in range(3):
        assert text.count(f"cohort-000/round-{number:03d}  density") == 1
    assert "test accuracy at early stop" in text
