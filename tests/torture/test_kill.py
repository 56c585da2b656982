"""A campaign that is killed again and again, wherever it happens to be, ends up bit for bit as if it never was."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

import tickets
from tickets.store import read_events, run_folders, status, verify

KILLS = 25
SHORTEST_S, LONGEST_S = 0.3, 2.0  # from the start of the work, which takes so long to warm up, to the kill


@pytest.mark.torture
def test_a_campaign_killed_at_random_moments_gives_the_same_bits(campaign_file, contents, tmp_path):
    file = campaign_file(
        tmp_path,
        rounds=4,
        cohort_size=1,
        rewind={"step": 5},
        # Little training and much to write, so that many a kill meets a commit.
        model={"name": "mlp", "widths": [200, 200]},
        train={"steps": 25, "evaluate_every": 25},
        arms=["ticket", {"name": "reinit", "draws": 2}, "random_mask", {"name": "constant", "start": 0}],
    )
    tickets.run(file, out=tmp_path / "whole")
    wanted = contents(tmp_path / "whole")
    rng, kills, folders = random.Random(0), 0, [tmp_path / "out-0"]
    left_over: Counter[str] = Counter()
    rounds = []
    while kills < KILLS:
        out = folders[-1]
        if start_and_kill(file, out, rng.uniform(SHORTEST_S, LONGEST_S)):
            kills += 1
            left_over.update(path.name.rpartition("-")[0] for path in out.rglob(".tmp-*"))
            rounds.append(len(list(out.glob("*/cohort-*/round-*"))))
        else:
            folders.append(tmp_path / f"out-{len(folders)}")
        if out.exists() and run_folders(out):
            assert verify(out) == []
    tickets.run(file, out=folders[-1])
    for out in folders:
        assert contents(out) == wanted
        assert not list(out.rglob(".tmp-*"))
        assert [one.state for one in status(out)] == ["done"]
        assert verify(out) == []
    # Kills that all came before or after the work would prove nothing.
    assert len(set(rounds)) > 3
    print(f"{kills} kills, at {rounds} committed rounds; of {len(folders)} campaigns; half-written: {dict(left_over)}")


def start_and_kill(file, out, delay):
    """Go on with the campaign and kill it `delay` seconds after it begins to work; False if it ended before."""
    before = started(out)
    command = [sys.executable, "-m", "tickets", "run", str(file), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while started(out) == before and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    code = process.wait()
    assert code in (0, -signal.SIGKILL)
    return code != 0


def started(out):
    """How often work was begun."""
    return sum(event["event"] == "started" for log in out.glob("*/log.jsonl") for event in read_events(log))
