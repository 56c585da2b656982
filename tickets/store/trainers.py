"""Which processes train a campaign's cohorts now, as their leases say."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tickets.errors import InputError
from tickets.store.holder import Holder, holder_of, lease_file
from tickets.store.layout import cohort_folders


@dataclass(frozen=True)
class AtWork:
    """A process that trains a cohort.

    Attributes
    ----------
    run
        The run's id.
    cohort
        The number of the cohort.
    holder
        The process, and how far it is.
    silent
        The seconds since it renewed its lease, by the clocks of the file system and of this machine, which may differ.
    """

    run: str
    cohort: int
    holder: Holder
    silent: float


def trainers(folder: Path, runs: Iterable[str]) -> list[AtWork]:
    """The processes that train cohorts of some runs. Those of this machine that have ended are left out.

    Parameters
    ----------
    folder
        The campaign's folder.
    runs
        The ids of the runs.
    """
    found = []
    for run in runs:
        with suppress(InputError, OSError):  # runs that wait have no folder
            for index, cohort in cohort_folders(folder / run):
                holder = holder_of(cohort)
                if holder is not None and not holder.is_over:
                    found.append(AtWork(run, index, holder, _silent(cohort, holder)))
    return found


def _silent(cohort: Path, holder: Holder) -> float:
    with suppress(OSError):
        return max(0.0, time.time() - lease_file(cohort, holder.generation).stat().st_mtime)
    return 0.0
