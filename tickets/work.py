"""How a piece of work is trained, in this process or in another one: its tries, and what its log says of them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tickets.cohort import CohortWork, train_cohort
from tickets.continuing import check_data
from tickets.errors import DiskError, InputError, LeaseLostError
from tickets.fingerprint import changes, fingerprint
from tickets.fitting import Fitted, fit
from tickets.importing import importable, working_in
from tickets.listener import Listener, Note, Steps, Uncommitted
from tickets.machine import Placement, find_device, place, with_threads_here
from tickets.meter import Meter
from tickets.network import check_same
from tickets.out_of_memory import is_out_of_memory
from tickets.piece import Elsewhere, Work
from tickets.planning import Plan
from tickets.plurals import counted
from tickets.process_state import standard_state
from tickets.ready import ReadyRun, ready_run
from tickets.source import Source, load_source
from tickets.store import (
    CohortPlan,
    HeldError,
    Layout,
    Lease,
    Permit,
    append_event,
    check_writable,
    missing,
    settle,
    taken,
    unmoved,
    who,
)
from tickets.store.history import log_unlogged_here
from tickets.tries import LAST_BITS, next_try, say_again, short_of_memory, why_failed
from tickets.users_code import one_line, whole_traceback


def train(work: Work, listener: Listener) -> str | None:
    """Train a piece of work and commit its rounds to the campaign's folder.

    This process takes the lease of the cohort, works out again what the cohort lacks, and trains that. Any number of
    processes may be given the same work: one at a time trains it, and what is committed is not trained again.

    The run's data set is loaded, and its model built, for this one piece; a `Trainer` keeps both for the next piece.
    Where memory runs out, what is missing is tried again with half as many networks at once, and once more with a
    quarter.

    Parameters
    ----------
    work
        What to train.
    listener
        Is called with the `Steps`, `RoundDone` and `Note` events.

    Returns
    -------
    str or None
        Why the run failed, in one line; None if it did not. The log of the run has the traceback. An `Elsewhere` if
        another process has the cohort, or has taken it over: this one does not wait for it.

    Raises
    ------
    InputError
        For what stops every run: a device that is not there.
    DiskError
        If the campaign's folder cannot be written to: a full disk, ... Where only this work is refused, it has failed.
    """
    return Trainer().train(work, listener)


@dataclass(frozen=True)
class _Failure:
    """Why a try failed.

    networks: how many trained at once if memory ran out, 0 if none did yet; otherwise None. short: why, for the reason
    of a later try.
    """

    why: str
    traceback: str
    networks: int | None = None
    short: str = ""


class Trainer:
    """Trains pieces of work in this process, and keeps the last data set and run for the next piece.

    Parameters
    ----------
    fitted
        Runs by id that are known to fit their data, and are not prepared anew.
    begins
        Is called before each stack of a round trains, with the work and the number of networks that train at once.
    """

    def __init__(
        self,
        fitted: Mapping[str, Fitted] | None = None,
        begins: Callable[[Work, int], None] = lambda work, networks: None,
    ) -> None:
        self._fitted = dict(fitted or {})
        self._begins = begins
        self._ready: tuple[str, ReadyRun, Placement] | None = None
        self._source: tuple[object, Source] | None = None

    @standard_state()
    def train(self, work: Work, listener: Listener) -> str | None:
        """Train a piece of work; see the function `train`."""
        device = find_device(work.device)  # outside: without it no run can be trained
        try:
            if _missing(work) is None:  # another process has trained it: no lease is needed to see that
                return None
            with unmoved(work.folder) as there, taken(work.cohort_folder, work.expired) as lease:
                todo = _missing(work)
                return None if todo is None else self._train(replace(work, cohort=todo), lease, there, device, listener)
        except HeldError as held:
            return Elsewhere(f"{held.holder} is training it")
        except LeaseLostError as lost:
            return Elsewhere(f"stops here, and nothing is lost: {lost}")
        except DiskError as error:
            _log(work, "failed", why=error.problems[0])
            return only_here(error, work.folder.parent)
        except BrokenPipeError:
            raise  # nobody listens any more
        except Exception as error:  # what is saved is damaged, ...: the other runs go on
            why = said(error)
            _log(work, "failed", why=why, traceback=whole_traceback(error))
            return why

    def _train(self, work: Work, lease: Lease, there: Permit, device: torch.device, listener: Listener) -> str | None:
        """Train a piece of work whose cohort this process has, and log how that ended.

        there: raises if the run's folder was moved.
        """
        settle(work.folder, work.cohort_folder)
        log_unlogged_here(work.folder, work.cohort.index)
        # Asked before it trains, not after a round that then cannot be kept.
        check_writable(work.cohort_folder)
        plan = with_threads_here(work.plan, work.run.compute.threads)
        here = fingerprint(device, plan.threads)
        started = {"event": "started", "cohort": work.cohort.index, **lease.record, "fingerprint": here}
        about = {"fingerprint": here, **({"worker": who()} if work.signed else {})}
        append_event(work.folder / Layout.LOG, started)
        if changed := ", ".join(changes(work.fingerprint, here)):
            listener(Note(f"{work.run_id}: began on another machine or with other packages ({changed}); {LAST_BITS}"))
        uncommitted = Uncommitted(listener)
        try:
            while (failure := self._try(work, lease, there, plan, device, about, uncommitted)) is not None:
                again = next_try(work, failure.short, failure.networks) if failure.networks else None
                if again is None:
                    why = why_failed(work, failure.why)
                    why += "" if failure.networks is None else short_of_memory(failure.networks)
                    _log(work, "failed", why=why, traceback=failure.traceback)
                    return why
                say_again(again, failure.why, listener, traceback=failure.traceback)
                uncommitted.take_back()
                self._ready, work = None, again
                gc.collect()  # lanes that ended with an error leave cycles that hold tensors
        except LeaseLostError as lost:
            _log(work, "lost", **lease.record, why=str(lost))
            return Elsewhere(f"stops here, and nothing is lost: {lost}")
        return None

    def _try(
        self,
        work: Work,
        lease: Lease,
        there: Permit,
        plan: Plan,
        device: torch.device,
        about: Mapping[str, Any],
        listener: Listener,
    ) -> _Failure | None:
        """Train what is missing; why that failed. The error itself, whose frames hold tensors, ends here."""
        networks = 0

        def begins(count: int) -> None:
            nonlocal networks
            networks = count
            self._begins(work, count)

        def permit() -> None:
            there()
            lease.check()

        try:
            with importable(*work.modules), working_in(work.working_folder):
                ready, placement = self._prepared(work, plan, device)
                _note_fewer(work, placement, listener)
                meter = Meter(lease, work.cohort, ready.fitted.trial.starts)

                def tick(count: int) -> None:
                    lease.raise_if_lost()
                    meter.add(count)
                    listener(Steps(count))

                made_with = {**about, "execution": placement.record()}
                cohort = CohortWork(
                    work.run, work.run_id, work.folder, work.cohort, made_with, permit, lease.generation
                )

                def note(text: str) -> None:
                    listener(Note(text))

                train_cohort(replace(ready, begins=begins), cohort, tick, meter.of(listener), note)
        except KeyboardInterrupt:
            _log(work, "interrupted")
            raise
        except BaseException as error:
            if isinstance(error, DiskError | BrokenPipeError):
                raise  # the disk refuses, or the reader of the output has gone: no fault of this run
            why = said(error)
            if not is_out_of_memory(error):
                return _Failure(why, whole_traceback(error))
            when = f"with {counted(networks, 'network')} at once" if networks else "before training began"
            short = f"out of memory {when}"
            return _Failure(f"{short}: {why}", whole_traceback(error), networks, short)
        return None

    def _prepared(self, work: Work, plan: Plan, device: torch.device) -> tuple[ReadyRun, Placement]:
        # The lanes divide the threads among them; within a lane, kernels use its share.
        torch.set_num_threads(max(1, plan.threads // plan.lanes))
        name, at_most = work.run_id, work.networks_at_most
        if self._ready is None or self._ready[0] != name or self._ready[2].exceeds(at_most):
            self._ready = None  # frees the last run's tensors before those of the next one are made
            if name not in self._fitted:
                fitted = fit(work.run, self._load(work))
                check_data(work.folder, fitted.source, work.data_sha256)
                check_same(work.began_with, fitted, f"{name}: model {fitted.run.model.name!r}")
                self._fitted = {name: fitted}
            placement = place(self._fitted[name], plan, device, at_most)
            self._ready = name, ready_run(self._fitted[name], placement.plan, device), placement
        return self._ready[1:]

    def _load(self, work: Work) -> Source:
        config = work.run.data
        if self._source is None or self._source[0] != config:
            self._source = config, load_source(config, work.data_folder)
        return self._source[1]


def _missing(work: Work) -> CohortPlan | None:
    """What the cohort lacks by now; None if nothing."""
    return next((one for one in missing(work.run, work.folder, gaps=True) if one.index == work.cohort.index), None)


def said(error: BaseException) -> str:
    """Why a run failed, in one line."""
    return "; ".join(error.problems) if isinstance(error, InputError) else one_line(error)


def only_here(error: DiskError, campaign: Path) -> str:
    """Why one run cannot be written, if the others of its campaign can.

    Parameters
    ----------
    error
        The error that the run met.
    campaign
        The campaign's folder. What the run could not write is tried there, by a file of the same size.

    Returns
    -------
    str
        The reason, in one line.

    Raises
    ------
    DiskError
        `error`, if the campaign's folder cannot be written to either: training on would be for nothing.
    """
    try:
        check_writable(campaign, error.needed)
    except DiskError:
        raise error from None
    return error.problems[0]


def _log(work: Work, event: str, **found: Any) -> None:
    """Write an event to the run's log; one that cannot be written does not hide what has happened."""
    with suppress(InputError):
        append_event(work.folder / Layout.LOG, {"event": event, "cohort": work.cohort.index, **found})


def _note_fewer(work: Work, placement: Placement, listener: Listener) -> None:
    if work.networks_at_most is not None:  # which was said
        return
    pairs = ((work.plan, placement.plan), (work.plan.pruned_initial, placement.plan.pruned_initial))
    fewer = [(plan.networks_at_once, here.networks_at_once) for plan, here in pairs if plan and here and plan != here]
    for began, here in fewer:
        if here < began:
            counts = f"networks trained at once: {here:,} here, {began:,} as planned when the run began"
            free = placement.free_memory / 2**30
            listener(Note(f"{work.run_id}: {counts}; {free:.2g} GiB of memory are free; {LAST_BITS}"))
            return
