"""The command `tickets run`: train, show the progress, and end with the results or with what failed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tickets.command_line.printing import print_line
from tickets.plurals import counted
from tickets.termination import STATUS, Terminated, terminable

if TYPE_CHECKING:
    from tickets.config import Campaign


def run_file(
    campaign: Path | Campaign,
    out: Path | None,
    data: Path | None,
    settings: Sequence[str],
    device: str,
    workers: int,
    repair: bool,
) -> int:
    """Run a campaign, or go on with it; the exit status. The parameters are those of `tickets.run`.

    Ctrl-C and SIGTERM end it soon, and the same command goes on.
    """
    try:
        with terminable():
            from tickets.campaign import run_campaign
            from tickets.command_line.progress import make_listener

            with make_listener() as listener:
                outcome = run_campaign(
                    campaign,
                    out=out,
                    data=data,
                    settings=settings,
                    device=device,
                    workers=workers,
                    listener=listener,
                    repair=repair,
                )
            from tickets.command_line.tables import print_results  # imports scipy, for which training need not wait

            print_results(outcome.folder, outcome.runs)
    except KeyboardInterrupt as interrupt:
        again = shlex.join(["tickets", *sys.argv[1:]])
        print_line(f"interrupted; committed rounds are kept. To resume: {again}", error=True)
        return STATUS if isinstance(interrupt, Terminated) else 130
    for run_id, why in outcome.failed.items():
        print_line(f"{run_id}: failed: {why}", error=True)
    if outcome.failed:
        some = f"{len(outcome.failed):,} of {counted(len(outcome.runs), 'run')} failed"
        print_line(f"{some}; the same command tries {'it' if len(outcome.failed) == 1 else 'them'} again", error=True)
        return 1
    return 0
