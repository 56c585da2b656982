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
from typing import TYPE_CHECKING, Annotated

import typer

from tickets.command_line.options import CampaignFile, Data, Device, Out, Settings
from tickets.command_line.printing import print_line
from tickets.errors import InputError
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


def run(
    file: CampaignFile,
    out: Out = None,
    data: Data = None,
    settings: Settings = None,
    device: Device = "cpu",
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes that train runs and cohorts.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be trained; train and write nothing.")
    ] = False,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Move rounds that do not verify out of the way, and train them again."),
    ] = False,
    worker: Annotated[
        bool,
        typer.Option("--worker", help="Be one of several processes that share the cohorts; leave what others train."),
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="M", help="With --worker: save a checkpoint and end before so many minutes."),
    ] = None,
    requeue: Annotated[
        bool,
        typer.Option("--requeue", help="With --worker: if ended early, ask Slurm for another turn; else exit with 75."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; with --dry-run.")] = False,
) -> None:
    """Run a campaign, or go on with it: the same command again resumes, and skips what is done."""
    from tickets.config import read_once

    if not worker and (minutes is not None or requeue):
        raise InputError(f"{'--requeue' if minutes is None else '--minutes'}: goes with --worker")
    if worker and (repair or dry_run):
        raise InputError(f"--worker: goes without {'--repair' if repair else '--dry-run'}")

    campaign, given = read_once(file, settings or ())
    if dry_run:
        from tickets.command_line.forecast import forecast_file

        forecast_file(campaign, out, data, given, device, workers, as_json)
        return
    if as_json:
        raise InputError("--json: goes with --dry-run; for the state of each run use `tickets status DIR --json`")
    turn = Turn(minutes, requeue) if worker else None
    if (status := run_file(campaign, out, data, given, device, workers, repair, turn)) != 0:
        raise typer.Exit(status)


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
                    timed=True,
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
