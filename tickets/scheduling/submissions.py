"""The record of a campaign's jobs: jobs/jobs.jsonl in its folder, a line for each submission."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tickets.store import Layout, append_event, read_events

MOST_ELEMENTS = 1_000_000  # of an array, and of all arrays that are looked at; those are the newest
_JOB = re.compile(r"[1-9][0-9]{0,9}")
_CLUSTER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_SUBMITTED, _CANCELLED = "submitted", "cancelled"


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
    cancelled
        Whether `tickets cancel` has ended it.
    """

    job: str
    cluster: str
    elements: int
    campaign: str
    cancelled: bool = False

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
    what = {"elements": job.elements, "campaign": job.campaign, "arguments": list(arguments)}
    append_event(_file(folder), {**_event(_SUBMITTED, job), **what})


def record_cancelled(folder: Path, job: Submitted) -> None:
    """Append to the record that a job was ended."""
    append_event(_file(folder), _event(_CANCELLED, job))


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
        key, one = _key(event), _parsed(event)
        if one is not None:
            found.pop(one.key, None)  # a cluster that has lost its state gives a number again
            found[one.key] = one
        elif key in found and event.get("event") == _CANCELLED:
            found[key] = replace(found[key], cancelled=True)
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


def _event(kind: str, job: Submitted) -> dict[str, Any]:
    return {"event": kind, "scheduler": "slurm", "job": job.job, "cluster": job.cluster}


def _key(event: Mapping[str, Any]) -> tuple[str, str] | None:
    """The cluster and the number of the job that an event is about; None if it is about none."""
    job, cluster = event.get("job"), event.get("cluster")
    if event.get("scheduler") != "slurm" or not isinstance(job, str) or not isinstance(cluster, str):
        return None
    return (cluster, job) if _JOB.fullmatch(job) and (not cluster or _CLUSTER.fullmatch(cluster)) else None


def _parsed(event: Mapping[str, Any]) -> Submitted | None:
    key, elements, campaign = _key(event), event.get("elements"), event.get("campaign")
    if event.get("event") != _SUBMITTED or key is None:
        return None
    if type(elements) is not int or not 0 < elements <= MOST_ELEMENTS or not isinstance(campaign, str):
        return None
    return Submitted(key[1], key[0], elements, campaign)


def _file(folder: Path) -> Path:
    return jobs_folder(folder) / Layout.SUBMISSIONS
