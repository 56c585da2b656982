"""What is going on in a campaign's folder: who trains what, and how long it will take."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tickets.errors import InputError
from tickets.store.asked import asked_runs
from tickets.store.run_status import RunStatus
from tickets.store.time_left import seconds_left
from tickets.store.trainers import AtWork, trainers


@dataclass(frozen=True)
class Outlook:
    """What is going on in a campaign's folder.

    Attributes
    ----------
    working
        The processes that train.
    seconds
        {run's id: the training time that it still needs in one process}, of runs that lack something and whose costs
        are known.
    """

    working: Sequence[AtWork] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def seconds_left(self) -> float | None:
        """The time until all is trained by as many processes as train now, or by one; None if that is not known."""
        if not self.seconds:
            return None
        return sum(self.seconds.values()) / max(1, len(self.working))

    def of(self, run: str) -> dict[str, Any]:
        """What is known of a run, as JSON: "at_work", a list of its processes, and "seconds_left"."""
        working = [_as_json(one) for one in self.working if one.run == run]
        return {"at_work": working, "seconds_left": self.seconds.get(run)}


def outlook(folder: Path, found: Sequence[RunStatus]) -> Outlook:
    """What is going on in a campaign's folder.

    Parameters
    ----------
    folder
        The campaign's folder; that of one run in it has no outlook.
    found
        The status of its runs.
    """
    lacking = dict.fromkeys(one.run for one in found if one.asked and one.state != "done")
    if not lacking:
        return Outlook()
    runs = {}
    with suppress(InputError):
        runs = {name: run for name, run in asked_runs(folder).items() if name in lacking}
    left = seconds_left(folder, runs, [one.run for one in found if one.state == "done"])
    return Outlook(trainers(folder, lacking), {name: seconds for name, seconds in left.items() if seconds is not None})


def _as_json(one: AtWork) -> dict[str, Any]:
    holder, progress = one.holder, one.holder.progress
    return {
        "cohort": one.cohort,
        "host": holder.host,
        "process": holder.process,
        "job": holder.job,
        "since": None if progress is None else progress.since,
        "round": None if progress is None else progress.round,
        "steps_done": None if progress is None else progress.done,
        "steps": None if progress is None else progress.total,
        "seconds_silent": round(one.silent, 1),
    }
