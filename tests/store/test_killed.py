"""Processes that are killed at random moments: no acknowledged round is lost, and nothing torn is ever seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from quick_folders import quick_folder

KILLS = 150

# In a process of its own, which has no threads: pytest's may have them, and a fork of such a process can hang.
PROGRAM = f"""
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from killed_campaign import aside, kill_many
from played_campaign import Checks, contents, play

folder = Path(sys.argv[1])
aside(lambda: play(folder / "whole"))
whole = contents(folder / "whole")
check = Checks(whole, aside)

def finished(campaign, acknowledged):
    assert contents(campaign) == whole
    check(campaign, acknowledged)

print(kill_many(folder, {KILLS}, play, check, finished))
"""


def test_kills_lose_no_acknowledged_round(tmp_path):
    tests = Path(__file__).parents[1]
    # What a killed process has written is there, whatever it has synced.
    with quick_folder(tmp_path) as folder:
        command = [sys.executable, "-c", PROGRAM, str(folder), str(tests)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{KILLS} kills at 0 to " in done.stdout, done.stdout
    print(done.stdout)
