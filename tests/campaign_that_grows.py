"""A campaign that is killed, goes on, and grows: run as a process of its own, beside processes that read its folder.

    python tests/campaign_that_grows.py STAGES.json FOLDER ENOUGH

STAGES.json is a list of {"campaign": table, "workers": number, "killed": number or null}. A stage with a number for
`killed` ends as by kill -9 when so many files have been synced to the disk, in the middle of a commit. After the last
stage the campaign grows on, by a replicate at a time, until there is a file ENOUGH: whoever reads beside it, on however
busy a machine, has then read while it trained.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import tickets

MOST = 200  # replicates


def run_stage(stage: dict[str, Any], out: Path) -> None:
    if stage["killed"] is None:
        tickets.run(stage["campaign"], out=out, workers=stage["workers"])
        return
    child = os.fork()
    if not child:
        kill_at(stage["killed"])
        tickets.run(stage["campaign"], out=out)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "ended before it was killed"


def kill_at(count: int) -> None:
    """Kill this process at its `count`-th fsync."""
    sync, calls = os.fsync, 0

    def counted(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(descriptor)

    os.fsync = counted


if __name__ == "__main__":
    stages, out, enough = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), Path(sys.argv[3])
    for stage in stages:
        run_stage(stage, out)
    last = stages[-1]
    for replicates in range(last["campaign"]["replicates"] + 1, MOST):
        if enough.exists():
            break
        run_stage({**last, "campaign": {**last["campaign"], "replicates": replicates}}, out)
