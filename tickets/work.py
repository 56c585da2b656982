"""A piece of a campaign's work, and the function that trains it, in this process or in another one.

A piece of work is what one cohort of one run lacks. It pickles. A process that trains it needs this package, the
campaign's folder and, where the run names them, the data folder and the user's modules at the same paths.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tickets.cohort import CohortWork, train_cohort
from tickets.config import Run
from tickets.continuing import check_data
from tickets.errors import InputError, UserCodeError
from tickets.fingerprint import changes, fingerprint
from tickets.fitting import Fitted, fit
from tickets.importing import importable
from tickets.listener import Listener, Note, Steps
from tickets.machine import Placement, find_device, place, with_threads_here
from tickets.network import check_same
from tickets.planning import Plan
from tickets.process_state import standard_state
from tickets.ready import ReadyRun, ready_run
from tickets.source import Source, load_source
from tickets.store import CohortPlan, Layout, append_event, cohort_folder
from tickets.users_code import one_line, whole_traceback

_LAST_BITS = "rounds that are added may differ in the last bits"


@dataclass(frozen=True, eq=False)
class Work:
    """What one cohort of a run lacks, with everything that a process needs to train it. Pickles.

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
    """

    run: Run
    run_id: str
    folder: Path
    cohort: CohortPlan
    plan: Plan
    began_with: Mapping[str, Any]
    fingerprint: Mapping[str, Any]
    data_sha256: str
    data_folder: Path | None
    device: str
    working_folder: Path | None = None
    modules: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """The run's id and the cohort's folder: "digits-mlp-adam-1a2b3c4d/cohort-000". Unique within a campaign."""
        return f"{self.run_id}/{cohort_folder(self.folder, self.cohort.index).name}"


def train(work: Work, listener: Listener) -> str | None:
    """Train a piece of work and commit its rounds to the campaign's folder.

    The run's data set is loaded, and its model built, for this one piece; a `Trainer` keeps both for the next piece.

    Parameters
    ----------
    work
        What to train.
    listener
        Is called with the `Steps`, `RoundDone` and `Note` events.

    Returns
    -------
    str or None
        Why the run failed, in one line; None if it did not. The log of the run has the traceback.

    Raises
    ------
    InputError
        For what would stop every run: a full disk, another data set, another network, a device that is not there.
    """
    return Trainer().train(work, listener)


class Trainer:
    """Trains pieces of work in this process, and keeps the last data set and run for the next piece.

    Parameters
    ----------
    fitted
        Runs by id that are known to fit their data, and are not prepared anew.
    """

    def __init__(self, fitted: Mapping[str, Fitted] | None = None) -> None:
        self._fitted = dict(fitted or {})
        self._ready: tuple[str, ReadyRun, Placement] | None = None
        self._source: tuple[object, Source] | None = None

    @standard_state()
    def train(self, work: Work, listener: Listener) -> str | None:
        """Train a piece of work; see the function `train`."""
        log, index = work.folder / Layout.LOG, work.cohort.index
        device = find_device(work.device)
        plan = with_threads_here(work.plan, work.run.compute.threads)
        here = fingerprint(device, plan.threads)
        append_event(log, {"event": "started", "cohort": index, "fingerprint": here})
        if changed := ", ".join(changes(work.fingerprint, here)):
            listener(Note(f"{work.run_id}: began on another machine or with other packages ({changed}); {_LAST_BITS}"))
        try:
            with importable(*work.modules), _working_in(work.working_folder):
                ready, placement = self._prepared(work, plan, device)
                _note_fewer(work, placement, listener)
                made_with = {"fingerprint": here, "execution": placement.record()}
                cohort = CohortWork(work.run, work.run_id, work.folder, work.cohort, made_with)
                train_cohort(
                    ready, cohort, lambda count: listener(Steps(count)), listener, lambda text: listener(Note(text))
                )
        except KeyboardInterrupt:
            append_event(log, {"event": "interrupted", "cohort": index})
            raise
        except UserCodeError as error:
            return _log_failure(log, index, error, error.problems[0])
        except (InputError, BrokenPipeError):
            raise  # the disk is full, or the reader of the output has gone: no failure of this run
        except (Exception, SystemExit) as error:
            return _log_failure(log, index, error, one_line(error))
        return None

    def _prepared(self, work: Work, plan: Plan, device: torch.device) -> tuple[ReadyRun, Placement]:
        # The lanes divide the threads among them; within a lane, kernels use its share.
        torch.set_num_threads(max(1, plan.threads // plan.lanes))
        name = work.run_id
        if self._ready is None or self._ready[0] != name:
            self._ready = None  # frees the last run's tensors before those of the next one are made
            if name not in self._fitted:
                fitted = fit(work.run, self._load(work))
                check_data(work.folder, fitted.source, work.data_sha256)
                check_same(work.began_with, fitted, f"{name}: model {fitted.run.model.name!r}")
                self._fitted = {name: fitted}
            placement = place(self._fitted[name], plan, device)
            self._ready = name, ready_run(self._fitted[name], placement.plan, device), placement
        return self._ready[1:]

    def _load(self, work: Work) -> Source:
        config = work.run.data
        if self._source is None or self._source[0] != config:
            self._source = config, load_source(config, work.data_folder)
        return self._source[1]


@contextmanager
def _working_in(folder: Path | None) -> Iterator[None]:
    """A block with this working directory, if there is such a folder here."""
    if folder is None or not folder.is_dir():
        yield
        return
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _note_fewer(work: Work, placement: Placement, listener: Listener) -> None:
    pairs = ((work.plan, placement.plan), (work.plan.pruned_initial, placement.plan.pruned_initial))
    fewer = [(plan.networks_at_once, here.networks_at_once) for plan, here in pairs if plan and here and plan != here]
    for began, here in fewer:
        if here < began:
            counts = f"networks trained at once: {here:,} here, {began:,} as planned when the run began"
            free = placement.free_memory / 2**30
            listener(Note(f"{work.run_id}: {counts}; {free:.2g} GiB of memory are free; {_LAST_BITS}"))
            return


def _log_failure(log: Path, cohort: int, error: BaseException, why: str) -> str:
    event = {"event": "failed", "cohort": cohort, "why": why, "traceback": whole_traceback(error)}
    append_event(log, event)
    return why
