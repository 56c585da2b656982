"""What squeue and sacct say of the elements of some jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tickets.scheduling.element import Element, ended_by, reason_of, shown, state_of
from tickets.scheduling.programs import ProgramError, call
from tickets.scheduling.submissions import Submitted

Found = dict[tuple[str, str], Element]
"""Elements by cluster and id."""

_JOBS_A_CALL = 200
_ID = re.compile(r"(\d{1,10})_(?:(\d{1,7})|\[([\d,:%-]{1,100000})\])")
_PIECE = re.compile(r"(\d{1,7})(?:-(\d{1,7})(?::(\d{1,7}))?)?")
_TIME = re.compile(r"[\d:T-]{4,25}")
_NO_SUCH_JOB = "Invalid job id"  # what squeue says of jobs that it has forgotten
_QUEUE = "%i|%T|%S|%V|%L|%N|%r"
_ACCOUNTS = "JobID,State,ExitCode,Start,NodeList,Reason"


def in_queue(jobs: Sequence[Submitted]) -> Found:
    """The elements that the queue has: those that wait or run, and those that have ended a moment ago.

    Raises
    ------
    ProgramError
        If squeue cannot be asked.
    """
    found: Found = {}
    for cluster, ids, sizes in _calls(jobs):
        try:
            printed = call("squeue", *_on(cluster), "-h", "-r", "-t", "all", "-j", ids, "-o", _QUEUE)
        except ProgramError as error:
            if _NO_SUCH_JOB not in str(error):
                raise
            continue
        for line in printed.splitlines():
            parts = line.split("|", 6)
            if len(parts) == 7:
                for name in _named(parts[0].strip(), sizes):
                    found[cluster, name] = _queued(name, parts)
    return found


def in_accounts(jobs: Sequence[Submitted]) -> Found:
    """The elements that the accounting has.

    Raises
    ------
    ProgramError
        If sacct cannot be asked.
    """
    found: Found = {}
    for cluster, ids, sizes in _calls(jobs):
        printed = call("sacct", *_on(cluster), "-n", "-P", "-X", "-j", ids, "-o", _ACCOUNTS)
        for line in printed.splitlines():
            parts = line.split("|", 5)
            if len(parts) == 6:
                for name in _named(parts[0].strip(), sizes):
                    found[cluster, name] = _accounted(name, parts)
    return found


def _calls(jobs: Sequence[Submitted]) -> Iterator[tuple[str, str, Mapping[str, int]]]:
    """(cluster, the numbers of its jobs, how many elements each has), for one call each."""
    for cluster in dict.fromkeys(job.cluster for job in jobs):
        of_cluster = [job for job in jobs if job.cluster == cluster]
        for first in range(0, len(of_cluster), _JOBS_A_CALL):
            some = of_cluster[first : first + _JOBS_A_CALL]
            yield cluster, ",".join(job.job for job in some), {job.job: job.elements for job in some}


def _on(cluster: str) -> list[str]:
    return ["-M", cluster] if cluster else []


def _named(text: str, sizes: Mapping[str, int]) -> Iterator[str]:
    """The elements that an id names: "123_4", or "123_[4-9,12%2]" for some that wait."""
    match = _ID.fullmatch(text)
    if match is None or match[1] not in sizes:
        return
    size = sizes[match[1]]
    if match[2] is not None:
        if int(match[2]) < size:
            yield f"{match[1]}_{int(match[2])}"
        return
    for piece in match[3].partition("%")[0].split(","):
        part = _PIECE.fullmatch(piece)
        if part is not None:
            first, last, step = int(part[1]), int(part[2] or part[1]), max(1, int(part[3] or 1))
            yield from (f"{match[1]}_{index}" for index in range(first, min(last, size - 1) + 1, step))


def _queued(name: str, parts: Sequence[str]) -> Element:
    _, word, started, submitted, left, node, reason = (part.strip() for part in parts)
    state, why = state_of(word)
    waits = state in ("queued", "requeued")
    return Element(
        id=name,
        state=state,
        why=why or ("" if state == "running" else reason_of(reason)),
        node="" if waits else shown(node),
        since=_time(submitted if waits else started),
        left=_time(left) if state == "running" else "",
    )


def _accounted(name: str, parts: Sequence[str]) -> Element:
    _, word, code, started, node, reason = (part.strip() for part in parts)
    state, why = state_of(word)
    how = ended_by(code) if state in ("failed", "unknown") else ""
    return Element(
        id=name,
        state=state,
        why=", ".join(filter(None, (why, how))) or ("" if state == "done" else reason_of(reason)),
        node="" if node.startswith("None") else shown(node),
        since=_time(started),
    )


def _time(text: str) -> str:
    """A time or a duration as Slurm writes it; "" for none, such as "N/A" and "UNLIMITED"."""
    return text if _TIME.fullmatch(text) else ""
