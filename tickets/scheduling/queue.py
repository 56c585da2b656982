"""The state of every element that was submitted of a campaign, and what it printed last.

The queue (squeue) knows what waits and runs, and for some minutes what has ended; the accounting (sacct), where there
is one, knows what has ended. Either may be missing, slow or wrong: then an element is "unknown", with the reason.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tickets.errors import DiskError, InputError
from tickets.opening import LARGEST, open_regular
from tickets.scheduling.element import Element
from tickets.scheduling.listing import Found, in_accounts, in_queue
from tickets.scheduling.programs import ProgramError, printable
from tickets.scheduling.submissions import Submitted, jobs_folder, submissions

_ID = re.compile(r"\d{1,10}_\d{1,7}")
_LAST_BYTES = 2**16  # of an output that are read
_LONGEST = 300  # characters of a line of it


def elements(folder: Path) -> list[Element]:
    """Every element that was submitted of a campaign, in the order of submission.

    Parameters
    ----------
    folder
        The campaign's folder.

    Raises
    ------
    InputError
        If the record of its jobs cannot be read. What squeue and sacct do not say is no error.
    """
    jobs = submissions(folder)
    if not jobs:
        return []
    queue, silent = _asked(in_queue, jobs)
    ended = [job for job in jobs if any(not _is_live(queue, job, index) for index in range(job.elements))]
    accounts, without = _asked(in_accounts, ended) if ended else ({}, "")
    nowhere = "; ".join(filter(None, (silent, without))) or "the queue and the accounting have it no longer"
    return [
        _state(folder, job, f"{job.job}_{index}", queue, accounts, silent, nowhere)
        for job in jobs
        for index in range(job.elements)
    ]


def live_elements(folder: Path) -> list[tuple[Submitted, Element]]:
    """The elements of a campaign that run or wait, each with its job; also those of a job that is being ended.

    Parameters
    ----------
    folder
        The campaign's folder.

    Raises
    ------
    ProgramError
        If squeue does not say.
    """
    jobs = submissions(folder)
    queue = in_queue(jobs)
    return [
        (job, queue[job.cluster, name])
        for job in jobs
        for name in (f"{job.job}_{index}" for index in range(job.elements))
        if (job.cluster, name) in queue and queue[job.cluster, name].is_live
    ]


def last_lines(folder: Path, element: Element, count: int = 5) -> list[str]:
    """The last lines that an element printed, without empty ones; none if there is no output.

    Parameters
    ----------
    folder
        The campaign's folder.
    element
        The element.
    count
        The most lines.
    """
    if not _ID.fullmatch(element.id):
        return []
    try:
        with open_regular(output_file(folder, element.id), at_most=LARGEST) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_BYTES))
            data = file.read(_LAST_BYTES)
    except (FileNotFoundError, InputError):
        return []
    lines = [printable(line.rstrip()) for line in data.decode("utf-8", "backslashreplace").splitlines() if line.strip()]
    return [line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..." for line in lines[-count:]]


def output_file(folder: Path, name: str) -> Path:
    """The file to which an element, by its id, prints."""
    return jobs_folder(folder) / f"{name}.out"


def _asked(ask: Callable[[Sequence[Submitted]], Found], jobs: Sequence[Submitted]) -> tuple[Found, str]:
    """(what a program says, why it does not)."""
    try:
        return ask(jobs), ""
    except DiskError:
        raise
    except ProgramError as error:
        return {}, str(error)


def _is_live(queue: Found, job: Submitted, index: int) -> bool:
    found = queue.get((job.cluster, f"{job.job}_{index}"))
    return found is not None and found.is_live


def _state(
    folder: Path, job: Submitted, name: str, queue: Found, accounts: Found, silent: str, nowhere: str
) -> Element:
    here, there = queue.get((job.cluster, name)), accounts.get((job.cluster, name))
    if here is not None and here.is_live:
        has_run = here.state == "queued" and os.path.lexists(output_file(folder, name))
        return replace(here, state="requeued") if has_run else here
    if there is not None and not there.is_live:
        return there
    if here is not None:
        return here
    if there is not None:
        # A job that was lost runs in the accounting for ever.
        why = silent or f"the accounting says {there.state}, and the queue does not have it"
        return replace(there, state="unknown", why=why, left="")
    return Element(name, "unknown", nowhere)
