"""The command `tickets run`: train, show the progress, and end with the results or with what failed.

As a worker (`--worker`) it is one of several processes that share the cohorts of a campaign among them, each under a
lease, so that a scheduler may start, end and start them again as it likes.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tickets.command_line.printing import print_line
from tickets.plurals import counted
from tickets.scheduling.requeue import requeue, slurm_element
from tickets.termination import NOTICES, STATUS, Terminated, ended_after, terminable

if TYPE_CHECKING:
    from tickets.config import Campaign


AGAIN = 75  # the exit status that asks a scheduler for another turn (EX_TEMPFAIL; `bsub -Q 75`)


@dataclass(frozen=True)
class Turn:
    """How a worker works: one of several processes that share the cohorts of a campaign among them.

    Parameters
    ----------
    minutes
        The time that it has; None for no end.
    requeue
        Whether it asks for another turn where it is ended before all is trained.
    """

    minutes: float | None = None
    requeue: bool = False


def run_file(
    campaign: Path | Campaign,
    out: Path | None,
    data: Path | None,
    settings: Sequence[str],
    device: str,
    workers: int,
    repair: bool,
    turn: Turn | None = None,
) -> int:
    """Run a campaign, or go on with it; the exit status. The parameters are those of `tickets.run`.

    Ctrl-C and SIGTERM end it soon, and the same command goes on.

    Parameters
    ----------
    campaign, out, data, settings, device, workers, repair
        As in `tickets.run`.
    turn
        How it works as a worker; None for a process that trains everything and shows the results.
    """
    try:
        with terminable(signals=NOTICES if turn else NOTICES[:1]), ended_after(turn.minutes if turn else None):
            from tickets.campaign import run_campaign
            from tickets.command_line.progress import Lines, make_listener

            with nullcontext(Lines()) if turn else make_listener() as listener:
                outcome = run_campaign(
                    campaign,
                    out=out,
                    data=data,
                    settings=settings,
                    device=device,
                    workers=workers,
                    listener=listener,
                    repair=repair,
                    worker=turn is not None,
                )
            if turn is None:
                from tickets.command_line.tables import print_results  # imports scipy: training need not wait for it

                print_results(outcome.folder, outcome.runs)
            elif outcome.elsewhere:
                print_line(f"{counted(outcome.elsewhere, 'cohort')} left to other workers, which are training them")
    except KeyboardInterrupt as interrupt:
        asked = isinstance(interrupt, Terminated)
        if turn and asked:
            return _left(turn)
        again = shlex.join(["tickets", *sys.argv[1:]])
        print_line(f"interrupted; committed rounds are kept. To resume: {again}", error=True)
        return STATUS if asked else 130
    for run_id, why in outcome.failed.items():
        print_line(f"{run_id}: failed: {why}", error=True)
    if outcome.failed:
        some = f"{len(outcome.failed):,} of {counted(len(outcome.runs), 'run')} failed"
        print_line(f"{some}; the same command tries {'it' if len(outcome.failed) == 1 else 'them'} again", error=True)
        return 1
    return 0


def _left(turn: Turn) -> int:
    """The exit status of a worker that was asked to end, after it has asked for another turn if that is wanted."""
    print_line("asked to end: committed rounds and checkpoints are kept, and other workers may go on with them")
    if not turn.requeue:
        return 0
    if (element := slurm_element()) is None:
        return AGAIN
    if (why := requeue(element)) is not None:
        print_line(f"job {element} is not queued again: {why}", error=True)
        return AGAIN
    print_line(f"job {element} is queued again")
    return 0
