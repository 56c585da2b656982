"""The commands `tickets submit` and `tickets cancel`, and what `tickets status` says of jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickets.command_line.options import CampaignFile, Data, Device, Out, Settings
from tickets.command_line.printing import print_line
from tickets.errors import InputError
from tickets.plurals import counted

if TYPE_CHECKING:
    from tickets.scheduling.element import Element
    from tickets.scheduling.submission import Submission
    from tickets.store import RunStatus

_MOST_SHOWN = 20  # elements of a state that are shown one by one
_ONE_BY_ONE = ("running", "failed", "timeout")
_ORDER = ("running", "queued", "requeued", "preempted", "failed", "timeout", "cancelled", "unknown", "done")


def submit(
    file: CampaignFile,
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="OPTIONS", help="Further options of sbatch, after --; e.g. -- --constraint=a100."),
    ] = None,
    slurm: Annotated[bool, typer.Option("--slurm", help="Submit to Slurm.")] = False,
    out: Out = None,
    data: Data = None,
    settings: Settings = None,
    array: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="The most elements.  [default: one for each cohort]")
    ] = None,
    at_once: Annotated[
        int | None, typer.Option("--at-once", min=1, metavar="T", help="The most elements that run at once.")
    ] = None,
    minutes: Annotated[
        int | None,
        typer.Option(min=5, max=525_600, metavar="M", help="The time limit of an element, in minutes."),
    ] = None,
    device: Device = "cpu",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the script and what would be submitted; write nothing.")
    ] = False,
) -> None:
    """Submit what a campaign lacks to Slurm, as one array of workers; the same command again submits what is missing.

    An element is submitted for each cohort to do, less those that run or wait. The table [submit] of the campaign file
    says what each asks for; --array, --at-once and --minutes come before it.
    """
    if not slurm:
        raise InputError(
            "tickets submit: name the scheduler: --slurm. Elsewhere start workers: tickets run FILE --worker"
        )
    from tickets.config import read_once
    from tickets.config.submit import wrong_option
    from tickets.scheduling.submission import Asked
    from tickets.scheduling.submission import submit as submit_campaign

    if why := wrong_option(options or ()):
        raise InputError(f"-- {' '.join(options or ())[:100]}: {why}")
    campaign, given = read_once(file, settings or ())
    asked = Asked(out, data, given, device, array, at_once, minutes, options or ())
    found = submit_campaign(campaign, asked, dry_run=dry_run, tell=lambda text: print_line(text, error=True))
    if dry_run:
        for line in found.script.splitlines():
            print_line(line)
    print_line(_said(found, dry_run))


def cancel(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A campaign's folder.")],
) -> None:
    """End the jobs of a campaign that run or wait. Committed rounds are kept, and `tickets submit` goes on."""
    from tickets.scheduling.cancelling import cancel as cancel_jobs

    cancelled = cancel_jobs(folder)
    for job, states in cancelled.items():
        print_line(f"job {job.job}: cancelled {_counts(Counter(states))}")
    if not cancelled:
        print_line(f"{folder}: no job of it runs or waits; nothing to cancel")


def print_jobs(folder: Path, found: Sequence[RunStatus]) -> None:
    """Print how many elements of submitted arrays are in which state, and why; nothing if nothing was submitted.

    Parameters
    ----------
    folder
        The campaign's folder.
    found
        The status of its runs: once all are done, elements that have failed are no longer explained.
    """
    from tickets.command_line.terminal import make_console, say

    try:
        first, *others = job_lines(folder, found) or [""]
    except InputError as error:
        print_line(f"jobs: {error}", error=True)
        return
    console = make_console()
    for line in (first, *others) if first else ():
        say(console, line, indent=0 if line is first else 4)


def job_lines(folder: Path, found: Sequence[RunStatus]) -> list[str]:
    """The lines of `print_jobs`.

    Raises
    ------
    InputError
        If a record of a submission is damaged, or if Slurm cannot be asked.
    """
    from tickets.scheduling.queue import elements
    from tickets.scheduling.submissions import has_submissions

    if not has_submissions(folder):
        return []
    every = elements(folder)
    lines = _lines(folder, every, done=all(one.state == "done" for one in found))
    return [f"jobs: {_counts(Counter(one.state for one in every)) or 'none'}", *(f"  {line}" for line in lines)]


def _said(found: Submission, dry_run: bool) -> str:
    """What was submitted, in one line."""
    live = "an unknown number of elements" if found.live is None else counted(found.live, "element")
    there = "" if found.live == 0 else f", {live} running or waiting"
    to_do = f"{counted(found.cohorts, 'cohort')} to do{there}"
    ending = f"; dry run: nothing is submitted or written (folder: {found.folder})" if dry_run else ""
    if not found.elements:
        enough = f"{found.limit} allows no more" if found.cohorts and found.limit else "nothing to submit"
        return f"{to_do}: {enough}{ending}"
    why = f" ({found.limit})" if found.limit else ""
    if dry_run:
        return f"{to_do}: would submit {counted(found.elements, 'element')}{why}{ending}"
    return f"{to_do}: submitted job {found.job} with {counted(found.elements, 'element')}{why} (folder: {found.folder})"


def _counts(states: Counter[str]) -> str:
    return ", ".join(f"{states[state]:,} {state}" for state in _ORDER if states[state])


def _lines(folder: Path, every: Sequence[Element], done: bool) -> Iterator[str]:
    """What to say of elements: those that run or have failed one by one, the newest last, others by what they share."""
    from tickets.scheduling.queue import last_lines

    for state in _ORDER:
        some = [one for one in every if one.state == state]
        if state not in _ONE_BY_ONE:
            alike = Counter(one.why for one in some if one.why and state != "cancelled")
            yield from (f"{count:,} {state}: {why}" for why, count in alike.most_common(_MOST_SHOWN))
            continue
        if done and state != "running":
            continue
        if len(some) > _MOST_SHOWN:
            yield f"{len(some) - _MOST_SHOWN:,} more {state}, and:"
        for one in some[-_MOST_SHOWN:]:
            yield _line(one)
            if state == "failed":
                yield from (f"  | {line}" for line in last_lines(folder, one))


def _line(one: Element) -> str:
    where = f" on {one.node}" if one.node else ""
    since = f" since {one.since}" if one.since else ""
    left = f", {one.left} left" if one.left else ""
    why = f": {one.why}" if one.why else ""
    return f"{one.id} {one.state}{where}{since}{left}{why}"
