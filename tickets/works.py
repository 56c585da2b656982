"""The pieces of work that a campaign lacks, each run of which is begun by writing its run.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tickets.config import Run
from tickets.errors import DiskError, InputError, LeaseLostError
from tickets.fingerprint import fingerprint
from tickets.importing import current_folder
from tickets.listener import Listener
from tickets.piece import Work
from tickets.preparation import Prepared
from tickets.recording import record_changes, record_run
from tickets.store import CohortPlan, Layout, Permit, append_event
from tickets.work import only_here, said


def works_of(
    ready: Prepared,
    todo: Mapping[str, Sequence[CohortPlan]],
    modules: tuple[Path, ...],
    permit: Permit,
    listener: Listener,
) -> tuple[list[Work], dict[str, str]]:
    """Begin each run that lacks something, and cut what it lacks into pieces.

    Parameters
    ----------
    ready
        The campaign.
    todo
        What each run lacks, by id.
    modules
        The folders of the user's own modules.
    permit
        Raises if this process may no longer write to the campaign's folder.
    listener
        Receives notes.

    Returns
    -------
    tuple
        (the pieces of all runs, why runs that cannot be begun failed by run id).
    """
    works: list[Work] = []
    refused: dict[str, str] = {}
    for name in ready.fitted:
        try:
            works += begin_run(ready, name, todo[name], modules, permit, listener)
        except LeaseLostError:
            raise
        except InputError as error:
            refused[name] = only_here(error, ready.folder) if isinstance(error, DiskError) else said(error)
            with suppress(InputError):  # its log may be what cannot be written
                append_event(ready.folder / name / Layout.LOG, {"event": "failed", "why": refused[name]})
    return works, refused


def begin_run(
    ready: Prepared,
    name: str,
    todo: Sequence[CohortPlan],
    modules: tuple[Path, ...],
    permit: Permit,
    listener: Listener,
) -> list[Work]:
    """Begin a run by writing its run.json, and cut what it lacks into pieces.

    Parameters
    ----------
    ready
        A campaign with the run.
    name
        The run's id.
    todo
        What is to be trained.
    modules, permit, listener
        See `works_of`.

    Returns
    -------
    list of Work
    """
    folder, fitted, plan, network = ready.folder / name, ready.fitted[name], ready.plans[name], ready.networks[name]
    here = fingerprint(ready.device, plan.threads)
    record_changes(folder, network, listener)
    began = record_run(folder, fitted, plan, here, network, listener if todo else (lambda event: None), permit)
    return [
        Work(
            run=fitted.run,
            run_id=name,
            folder=folder.absolute(),
            cohort=cohort,
            plan=plan,
            began_with=network.record,
            fingerprint=began,
            data_sha256=fitted.source.sha256,
            data_folder=None if ready.data_folder is None else ready.data_folder.absolute(),
            device=str(ready.device),
            working_folder=next(iter(current_folder()), None),
            modules=modules,
        )
        for cohort in todo
    ]


def rounds_done(runs: Mapping[str, Run], todo: Mapping[str, Sequence[CohortPlan]]) -> int:
    """The rounds that need no training, over all runs."""
    return sum(
        one.rounds + 1 - len({plan.number for cohort in todo[name] for plan in cohort.rounds})
        for name, one in runs.items()
    )
