"""End the jobs of a campaign."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tickets.errors import InputError
from tickets.scheduling.programs import ProgramError, call
from tickets.scheduling.queue import live_elements
from tickets.scheduling.submissions import Submitted, has_submissions, record_cancelled
from tickets.store import Layout


def cancel(folder: Path) -> Mapping[Submitted, Mapping[str, int]]:
    """End what was submitted of a campaign and runs or waits. Committed rounds are kept.

    Parameters
    ----------
    folder
        The campaign's folder.

    Returns
    -------
    dict
        For each job that was ended, how many of its elements were in which state.

    Raises
    ------
    InputError
        If nothing was submitted from the folder, or if Slurm does not do it.
    """
    if not has_submissions(folder):
        raise InputError(
            f"{folder}: nothing was submitted of it (no {Layout.JOBS}/{Layout.SUBMISSIONS}); give a folder that "
            "`tickets submit` wrote"
        )
    found: dict[Submitted, dict[str, int]] = {}
    for job, element in live_elements(folder):
        states = found.setdefault(job, {})
        states[element.state] = states.get(element.state, 0) + 1
    for job in found:
        try:
            call("scancel", *(["-M", job.cluster] if job.cluster else []), job.job)
        except ProgramError:
            if any(still == job for still, _ in live_elements(folder)):
                raise
        record_cancelled(folder, job)
    return found
