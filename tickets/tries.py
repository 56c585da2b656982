"""Work that is tried again after a process died or memory ran out: how often, with what, and how it is said."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from tickets.errors import InputError
from tickets.listener import Listener, Note
from tickets.piece import Work
from tickets.plurals import counted
from tickets.store import CohortPlan, Layout, append_event, cohort_folder, missing

TRIES = 3  # of a cohort, in all
LAST_BITS = "rounds that are added may differ in the last bits"


def next_try(work: Work, why: str, networks: int | None = None) -> Work | None:
    """The same work for one more try, which goes on after the rounds that are committed.

    Parameters
    ----------
    work
        The work as it was tried.
    why
        Why it failed.
    networks
        How many networks trained at once, if memory ran out; the next try takes half as many.

    Returns
    -------
    Work or None
        Its cohort has no rounds if all are committed. None if no further try is left, or if memory ran out with one
        network.
    """
    if len(work.failures) + 1 >= TRIES or networks == 1:
        return None
    at_most = work.networks_at_most if networks is None else networks // 2
    return replace(work, cohort=_still_missing(work), failures=(*work.failures, why), networks_at_most=at_most)


def say_again(work: Work, why: str, listener: Listener, **found: Any) -> None:
    """Tell the listener and the run's log of a further try.

    Parameters
    ----------
    work
        The work of the next try.
    why
        Why the last one failed.
    listener
        Gets a note.
    **found
        What the log is to have besides: a traceback, the last lines that a process wrote.
    """
    number, at_most = len(work.failures) + 1, work.networks_at_most
    event: dict[str, Any] = {"event": "retry", "cohort": work.cohort.index, "try": number, "why": why, **found}
    fewer = ""
    if at_most is not None:
        event["networks_at_once"] = at_most
        fewer = f", with {counted(at_most, 'network')} at once; {LAST_BITS}"
    with suppress(InputError):  # the next try finds out whether the run can be written
        append_event(work.folder / Layout.LOG, event)
    listener(Note(f"{work.name}: {why}; try {number} of {TRIES} begins{fewer}"))


def why_failed(work: Work, why: str) -> str:
    """Why work failed for good: the reason of every try, in one line.

    Parameters
    ----------
    work
        The work of the last try.
    why
        Why that failed.
    """
    if not work.failures:
        return why
    if set(work.failures) == {why}:
        return f"{why}, in each of {len(work.failures) + 1} tries"
    return "; ".join(f"try {number}: {text}" for number, text in enumerate((*work.failures, why), 1))


def short_of_memory(networks: int) -> str:
    """The end of a message about work that ran out of memory in its last try, with so many networks at once."""
    fewer = "a smaller compute.memory_gib, " if networks > 1 else ""
    only = " (compute.memory_gib has no effect on a single network)" if networks == 1 else ""
    return f"; what helps: {fewer}a smaller train.batch_size, fewer --workers, or more memory{only}"


def _still_missing(work: Work) -> CohortPlan:
    """What is missing of the work's cohort now."""
    if not (cohort_folder(work.folder, work.cohort.index) / Layout.INITIAL).is_dir():
        return work.cohort  # whose replicates other work must not get
    plans = [plan for plan in missing(work.run, work.folder, gaps=True) if plan.index == work.cohort.index]
    return plans[0] if plans else replace(work.cohort, exists=True, rounds=())
