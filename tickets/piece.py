"""A piece of a campaign's work: what one cohort of one run lacks, and what a process needs to train it.

It pickles. A process that trains it needs this package, the campaign's folder and, where the run names them, the data
folder and the user's modules at the same paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickets.config import Run
from tickets.planning import Plan
from tickets.store import CohortPlan, cohort_folder


class Elsewhere(str):
    """In place of why a piece of work failed: it has not failed, since another process has its cohort.

    The text says who. An engine yields it like any other reason, and gets the work again once the cohort is free.
    """


@dataclass(frozen=True, eq=False, kw_only=True)
class Piece:
    """What one cohort of a run lacks.

    Parameters
    ----------
    run
        The run's configuration.
    run_id
        Its id.
    folder
        The run's folder, an absolute path.
    cohort
        The rounds, arms and draws that are missing.
    expired
        The mark of another process's lease of the cohort, if it was watched until it had expired.
    """

    run: Run
    run_id: str
    folder: Path
    cohort: CohortPlan
    expired: str | None = None

    @property
    def cohort_folder(self) -> Path:
        """The folder of the cohort."""
        return cohort_folder(self.folder, self.cohort.index)

    @property
    def name(self) -> str:
        """The run's id and the cohort's folder: "digits-mlp-adam-1a2b3c4d/cohort-000". Unique within a campaign."""
        return f"{self.run_id}/{self.cohort_folder.name}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Work(Piece):
    """What one cohort of a run that has begun lacks, with everything that a process needs to train it. Pickles.

    Parameters
    ----------
    plan
        How the run began to be computed, from run.json.
    began_with
        The network that the run began with, from run.json.
    fingerprint
        The machine and packages that the run began with, from run.json.
    data_sha256
        The SHA-256 of the run's data set.
    data_folder
        The folder from which data sets are read, an absolute path; None if there is none.
    device
        The name of a device: "cpu", "cuda", "cuda:1".
    working_folder
        The folder in which the campaign was started, for relative paths in options; None if it is gone. A machine that
        has no such folder trains where it is.
    modules
        The folders in which the user's own modules are found, beside those that Python searches.
    networks_at_most
        The most networks that may train at once, after a try that ran out of memory; None if the plan decides.
    failures
        Why each earlier try failed, in this start of the campaign.
    signed
        Whether the manifests name the process that trained, and its job.
    """

    plan: Plan
    began_with: Mapping[str, Any]
    fingerprint: Mapping[str, Any]
    data_sha256: str
    data_folder: Path | None
    device: str
    working_folder: Path | None = None
    modules: tuple[Path, ...] = ()
    networks_at_most: int | None = None
    failures: tuple[str, ...] = ()
    signed: bool = False
