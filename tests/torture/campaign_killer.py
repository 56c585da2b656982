"""Kill a real campaign many times: `python campaign_killer.py TESTS FOLDER KILLS WORKERS SEED FILE...`.

Several files are stages of one campaign that grows. A script of its own: it imports everything once and forks a process
for each start, so it must have no threads. The campaigns that ended are left in the folder, beside one, `whole`, that
was never killed.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
from pathlib import Path

tests, folder = map(Path, sys.argv[1:3])
count, workers, seed = map(int, sys.argv[3:6])
files = sys.argv[6:]
sys.path.insert(0, str(tests))

import torch  # noqa: E402
from killed_campaign import BEGINS, aside, kill_many  # noqa: E402

import tickets  # noqa: E402
from tickets.listener import RoundDone, Steps  # noqa: E402
from tickets.store import run_folders, status, verify  # noqa: E402


def work(campaign, acknowledge):
    begun = False

    def listener(event):
        nonlocal begun
        if isinstance(event, Steps) and not begun:
            begun = True
            acknowledge(BEGINS)
        if isinstance(event, RoundDone):
            acknowledge(f"{event.run}/{event.folder}")

    for file in files:
        tickets.run(file, out=campaign, workers=workers, listener=listener)


def check(campaign, acknowledged):
    for name in acknowledged:
        assert (campaign / name / "manifest.json").is_file(), f"{name} was acknowledged and is lost"
    if campaign.exists() and run_folders(campaign):
        aside(functools.partial(read, campaign))


def read(campaign):
    assert verify(campaign) == []
    assert all(one.state in ("partial", "waiting", "done") for one in status(campaign))
    if list(campaign.glob("*/cohort-*/round-*")):
        assert len(tickets.load(campaign, trust_code=True).rounds)


if __name__ == "__main__":  # the workers import this script
    torch.set_num_threads(1)
    # Not in a child: what the first run imports and compiles, each child then has. A run by two workers has threads.
    whole = functools.partial(work, folder / "whole", lambda name: None)
    aside(whole) if workers > 1 else whole()
    while threading.active_count() > 1:  # none may be forked; the run's are about to end. Arrow starts its pool anew
        time.sleep(0.1)
    print(kill_many(folder, count, work, check, lambda campaign, acknowledged: None, seed))
