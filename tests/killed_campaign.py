"""Kill processes that write to a campaign's folder, at random moments, and check what each has left.

A process is forked from one that has imported everything and has no threads, so that a start costs next to nothing.
What the children acknowledge comes through a pipe, which holds what was written to it when its writer is killed.

A child that prepares for long before it writes says when it begins, by acknowledging `BEGINS`: most of the moments are
then counted from there.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tickets.store import Layout

Work = Callable[[Path, Callable[[str], None]], None]
Check = Callable[[Path, set[str]], None]

BEGINS = ""
BEGINNING = b'""\n'  # as a line of the pipe


@dataclass
class Kills:
    """What was killed: how many processes, at how many acknowledged rounds each, and what was left half-written."""

    count: int = 0
    campaigns: int = 0
    at_rounds: list[int] = field(default_factory=list)
    half_written: int = 0

    def __str__(self) -> str:
        where = f"at {min(self.at_rounds)} to {max(self.at_rounds)} acknowledged rounds" if self.at_rounds else ""
        return f"{self.count} kills {where}; {self.campaigns} campaigns; {self.half_written} met a commit"


def kill_many(folder: Path, count: int, work: Work, check: Check, finished: Check, seed: int = 0) -> Kills:
    """Start, kill and check until enough processes were killed; a campaign that ends is compared and another begins.

    Parameters
    ----------
    folder
        Where the campaigns are written.
    count
        The number of processes to kill.
    work
        Called in a child with the campaign's folder and a function that acknowledges a committed round.
    check
        Called after each kill, with what was acknowledged so far. It must start no threads, unless by `aside`.
    finished
        Called after a campaign has ended; likewise.
    seed
        Of the moments.

    Returns
    -------
    Kills
    """
    rng, kills = random.Random(seed), Kills()
    before, took = 0.0, 0.0  # seconds until a process begins, and from there to its end
    campaign, acknowledged = folder / "campaign-0", set[str]()
    while kills.count < count:
        began = time.monotonic()
        # The first process runs to its end, which says how long one takes.
        early = rng.random() < 0.1
        delay = rng.uniform(0, before if early and before else took) if took else None
        code, said, begun = _run(lambda tell, to=campaign: work(to, tell), delay, wait=before > 0 and not early)
        acknowledged |= said - {BEGINS}
        if code == -signal.SIGKILL:
            kills.count += 1
            kills.at_rounds.append(len(acknowledged))
            kills.half_written += bool(list(campaign.rglob(f"{Layout.TEMPORARY}*")))
            check(campaign, acknowledged)
            continue
        assert code == 0, f"ended with {code}"
        if not took:
            before = 0.0 if begun is None else begun - began
            took = time.monotonic() - began - before
        finished(campaign, acknowledged)
        kills.campaigns += 1
        campaign, acknowledged = folder / f"campaign-{kills.campaigns}", set()
    aside(lambda: work(campaign, lambda name: None))
    finished(campaign, acknowledged)
    return kills


def aside(function: Callable[[], None]) -> None:
    """Call a function in a child, so that its threads are not this process's; an error there is one here."""
    code, *_ = _run(lambda tell: function(), None)
    assert code == 0, "failed in a child, whose traceback is above"


def _run(
    child: Callable[[Callable[[str], None]], None], delay: float | None, wait: bool = False
) -> tuple[int, set[str], float | None]:
    """Fork a process, and kill it some seconds after it was forked, or with `wait` after it said that it begins.

    Returns its exit code, what it acknowledged, and when it said that it begins, by `time.monotonic`.
    """
    ours, theirs = os.pipe()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.close(ours)
            os.setpgid(0, 0)
            child(lambda name: _tell(theirs, name))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.close(theirs)
    text, begun = b"", None
    if wait or delay is None:
        while more := os.read(ours, 2**16):
            text += more
            begun = begun or (time.monotonic() if BEGINNING in text else None)
            if wait and begun:
                break
    if delay is not None:
        time.sleep(delay)
        os.kill(process, signal.SIGKILL)
    while more := os.read(ours, 2**16):
        text += more
    os.close(ours)
    said = {json.loads(line) for line in text.decode().splitlines(keepends=True) if line.endswith("\n")}
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), said, begun


def _tell(pipe: int, name: str) -> None:
    os.write(pipe, f"{json.dumps(name)}\n".encode())
