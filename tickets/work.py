"""A piece of a campaign's work, and who does one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tickets.cohort import CohortWork, train_cohort
from tickets.errors import InputError, UserCodeError
from tickets.fitting import Fitted, fit
from tickets.listener import Listener
from tickets.network import check_same
from tickets.planning import Plan
from tickets.process_state import standard_state
from tickets.ready import ReadyRun, ready_run
from tickets.source import Source, load_source
from tickets.store import Layout, append_event
from tickets.users_code import told, whole_traceback


@dataclass(frozen=True)
class Work:
    """A cohort's work with what a process needs to do it; crosses to other processes.

    network: what run.json keeps of the run's network.
    """

    cohort: CohortWork
    plan: Plan
    network: Mapping[str, Any]
    data_folder: Path | None
    device: str


class Trainer:
    """Does one piece of work after another, keeping the last data set and run ready for the next piece."""

    def __init__(self, listener: Listener, fitted: Mapping[str, Fitted] | None = None) -> None:
        self._listener, self._fitted = listener, dict(fitted or {})
        self._ready: tuple[str, ReadyRun] | None = None
        self._source: tuple[object, Source] | None = None

    @standard_state()
    def train(self, work: Work) -> str | None:
        """Do it; why it failed, or None: the whole traceback goes to the run's log.

        What stops every run (a full disk) is raised as InputError.
        """
        cohort = work.cohort
        log = cohort.folder / Layout.LOG
        append_event(log, {"event": "started", "cohort": cohort.cohort.index, "fingerprint": cohort.fingerprint})
        try:
            train_cohort(self._setting(work), cohort, self._listener.tick, self._listener.round_done)
        except KeyboardInterrupt:
            append_event(log, {"event": "interrupted", "cohort": cohort.cohort.index})
            raise
        except UserCodeError as error:
            return _log_failure(log, cohort.cohort.index, error, error.problems[0])
        except (InputError, BrokenPipeError):
            raise  # the disk is full, or whoever read the output has gone: not this run's failure
        except (Exception, SystemExit) as error:
            return _log_failure(log, cohort.cohort.index, error, told(error))
        return None

    def _setting(self, work: Work) -> ReadyRun:
        # Lanes share the threads out among them; inside a lane, kernels use what is left for each.
        torch.set_num_threads(max(1, work.plan.threads // work.plan.lanes))
        name = work.cohort.run_id
        if self._ready is None or self._ready[0] != name:
            self._ready = None  # let go of the last run's tensors before the next one's are made
            if name not in self._fitted:
                fitted = fit(work.cohort.run, self._load(work))
                check_same(work.network, fitted, f"{name}: model {fitted.run.model.name!r}")
                self._fitted = {name: fitted}
            self._ready = name, ready_run(self._fitted[name], work.plan, torch.device(work.device))
        return self._ready[1]

    def _load(self, work: Work) -> Source:
        config = work.cohort.run.data
        if self._source is None or self._source[0] != config:
            self._source = config, load_source(config, work.data_folder)
        return self._source[1]


def _log_failure(log: Path, cohort: int, error: BaseException, why: str) -> str:
    event = {"event": "failed", "cohort": cohort, "why": why, "traceback": whole_traceback(error)}
    append_event(log, event)
    return why
