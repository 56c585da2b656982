"""The record of a campaign's jobs: jobs/jobs.jsonl in its folder, a line for each submission."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickets.store import Layout, append_event, read_events

MOST_ELEMENTS = 1_000_000  # of an array, and of all arrays that are looked at; those are the newest
_JOB = re.compile(r"[1-9][0-9]{0,9}")
_CLUSTER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_SUBMITTED = "submitted"


@dataclass(frozen=True)
class Submitted:
    """An array that was submitted.

    Parameters
    ----------
    job
        Its number.
    cluster
        The cluster, where Slurm has several; "" for the only one.
    elements
        How many elements it has, from 0 on.
    campaign
        The name of the campaign file that it trains, in jobs/.
    """

    job: str
    cluster: str
    elements: int
    campaign: str

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others: its cluster and its number."""
        return self.cluster, self.job


def jobs_folder(folder: Path) -> Path:
    """The folder of a campaign's jobs."""
    return folder / Layout.JOBS


def has_submissions(folder: Path) -> bool:
    """Whether anything was submitted of a campaign."""
    return os.path.lexists(_file(folder))


def record(folder: Path, job: Submitted, arguments: Sequence[str]) -> None:
    """Append a submission to the record.

    Parameters
    ----------
    folder
        The campaign's folder.
    job
        What was submitted.
    arguments
        The command that submitted it.
    """
    event = {"event": _SUBMITTED, "scheduler": "slurm", **vars(job), "arguments": list(arguments)}
    append_event(_file(folder), event)


def submissions(folder: Path) -> list[Submitted]:
    """What was submitted of a campaign, the oldest first. Lines that nothing submitted can be are passed over.

    Parameters
    ----------
    folder
        The campaign's folder.

    Raises
    ------
    InputError
        If the record cannot be read.
    """
    found: dict[tuple[str, str], Submitted] = {}
    for event in read_events(_file(folder)):
        one = _parsed(event)
        if one is not None:
            found.pop(one.key, None)  # numbers begin again where a cluster was set up anew
            found[one.key] = one
    newest, count = [], 0
    for one in reversed(found.values()):
        count += one.elements
        if count > MOST_ELEMENTS:
            break
        newest.append(one)
    return newest[::-1]


def parsed_id(text: str) -> tuple[str, str] | None:
    """(number, cluster) of what `sbatch --parsable` prints, "123" or "123;cluster"; None for anything else."""
    job, semicolon, cluster = text.strip().partition(";")
    if not _JOB.fullmatch(job) or (semicolon and not _CLUSTER.fullmatch(cluster)):
        return None
    return job, cluster


def _parsed(event: Mapping[str, Any]) -> Submitted | None:
    job, cluster, elements, campaign = (event.get(key) for key in ("job", "cluster", "elements", "campaign"))
    if event.get("event") != _SUBMITTED or event.get("scheduler") != "slurm":
        return None
    if not isinstance(job, str) or not _JOB.fullmatch(job):
        return None
    if not isinstance(cluster, str) or (cluster and not _CLUSTER.fullmatch(cluster)):
        return None
    if type(elements) is not int or not 0 < elements <= MOST_ELEMENTS or not isinstance(campaign, str):
        return None
    return Submitted(job, cluster, elements, campaign)


def _file(folder: Path) -> Path:
    return jobs_folder(folder) / Layout.SUBMISSIONS
