"""Run a campaign: train what is missing, and leave committed rounds unchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickets.checks import check_not_another
from tickets.code_hashes import named_functions, where_from
from tickets.cohort import steps_missing
from tickets.config import Campaign, Run
from tickets.differences import added_to, left_over_in, lost_in
from tickets.engines import Engine, failures, one_after_another
from tickets.errors import DiskError, InputError, LeaseLostError
from tickets.executors import engine_for
from tickets.fingerprint import fingerprint
from tickets.foreword import foreword
from tickets.importing import current_folder, importable
from tickets.listener import Begun, Listener, Note, without_repeats
from tickets.piece import Work
from tickets.preparation import Prepared, folder_of, module_folders, prepare, read_or_take, recorded_in
from tickets.process_state import one_campaign_at_a_time
from tickets.recording import record_campaign, record_changes, record_run
from tickets.rivals import beside_others, let_go
from tickets.store import (
    CohortPlan,
    Layout,
    Permit,
    Saved,
    append_event,
    at_work,
    check_names,
    load,
    lock,
    missing,
    record_begun,
    refresh_index,
    sweep_temporary,
)
from tickets.store import repair as set_aside
from tickets.store.checkpoint import sweep_checkpoints
from tickets.work import only_here, said
from tickets.workers import end_if_unguarded, process_pool


@dataclass(frozen=True)
class Outcome:
    """The result of `run_campaign`.

    Parameters
    ----------
    folder
        The campaign's folder.
    runs
        The ids of all its runs.
    failed
        Why each failed run failed, by run id.
    functions
        The functions outside the catalogue that the campaign names ("module:function"), and so trusts.
    """

    folder: Path
    runs: tuple[str, ...]
    failed: Mapping[str, str]
    functions: tuple[str, ...] = ()


def run(
    campaign: str | Path | Mapping[str, Any] | Campaign,
    out: str | Path | None = None,
    data: str | Path | None = None,
    *,
    settings: Sequence[str] = (),
    device: str = "cpu",
    workers: int = 1,
    engine: Engine | None = None,
    executor: Executor | None = None,
    listener: Listener | None = None,
    repair: bool = False,
) -> Saved:
    """Run a campaign, or go on with it, and return what is saved; the command `tickets run` does the same.

    The user's own modules are found where Python finds any, then in the current folder, then beside the campaign file.

    The settings of the process (default dtype and device, gradients off, autocast, ...) neither matter nor change, and
    the random number generators are left as they were. Several threads may call this function: their campaigns are
    trained one after another, each with the bits that it has alone.

    Parameters
    ----------
    campaign
        The path of a campaign file, or the content of such a file as a mapping: plain dicts, lists and values.
    out
        The campaign's folder; by default runs/saved/<name>.
    data
        The data folder; by default the campaign's, else $TICKETS_DATA.
    settings
        "key=value", as for --set.
    device
        "cpu", "cuda" or "cuda:0", "cuda:1", ...
    workers
        The number of processes that train at once; runs and cohorts are divided among them. With an engine, the number
        of pieces of work that it trains at once on one machine: they share its memory and threads.
    engine
        A function of all pieces of work and a listener that trains each by `tickets.work.train` and yields
        (work, why it failed or None) for each; see `tickets.engines`. By default, `workers` processes of this machine.
    executor
        An executor of `concurrent.futures`, whose processes train: a ProcessPoolExecutor, Dask's
        `client.get_executor()`, ... Goes with neither an engine nor workers; see `tickets.executors.on_executor`.
    listener
        A function that is called with each event (see `tickets.listener`); by default nothing is reported.
    repair
        Whether committed rounds that `tickets verify` finds damaged are moved out of the way and trained again. Without
        it, a run whose damaged rounds others would build on is an error.

    Returns
    -------
    Saved
        The saved runs, as `tickets.load` gives them.

    Raises
    ------
    InputError
        If the input is wrong, with everything that is wrong, before anything is written.
    RuntimeError
        If a run failed.
    """
    outcome = run_campaign(
        campaign,
        out=out,
        data=data,
        settings=settings,
        device=device,
        workers=workers,
        engine=engine,
        executor=executor,
        listener=listener or (lambda event: None),
        repair=repair,
    )
    if outcome.failed:
        raise RuntimeError("; ".join(f"{name} failed: {why}" for name, why in outcome.failed.items()))
    return load(outcome.folder, trust_code=outcome.functions)


def run_campaign(
    campaign: str | Path | Mapping[str, Any] | Campaign,
    *,
    out: str | Path | None,
    data: str | Path | None,
    settings: Sequence[str],
    device: str,
    workers: int,
    listener: Listener,
    engine: Engine | None = None,
    executor: Executor | None = None,
    repair: bool = False,
) -> Outcome:
    """Run a campaign like `run`, but without an error for a run that fails: the outcome says which failed.

    The parameters are those of `run`. Raises InputError if the input is wrong.
    """
    end_if_unguarded()
    engine, workers = engine_for(executor, engine, workers)
    folders = module_folders(campaign)
    listener = without_repeats(listener)
    with one_campaign_at_a_time(), importable(*folders):
        if repair:
            campaign, settings = read_or_take(campaign, settings), ()
            check_not_another(folder_of(campaign, out), campaign)
            _repair(folder_of(campaign, out), listener)
        while True:
            ready = prepare(
                campaign,
                out=out,
                data=data,
                settings=settings,
                device=device,
                workers=workers,
                keep_failures=True,
                gaps=repair,
            )
            outcome = _train(ready, workers, engine, tuple(folders), listener, repair)
            if outcome is None:
                continue
            # On another machine a round that is trained again may have other last bits, and later ones no longer fit.
            if not repair or outcome.failed or not _repair(ready.folder, listener):
                return outcome


def _repair(folder: Path, listener: Listener) -> bool:
    """Move what is damaged in a campaign's folder out of the way; whether there was anything."""
    if not folder.is_dir():
        return False

    def tell(line: str) -> None:
        listener(Note(line))

    with lock(folder, tell) as lease:
        check_names(folder)
        if (other := at_work(folder, tell)) is not None:
            raise InputError(
                f"--repair: another `tickets run` ({other.holder}) is at work in {folder}; wait until it ends"
            )
        sweep_temporary(folder, lease.check, tell)
        lines = set_aside(folder, lease.check)
    for line in lines:
        listener(Note(line))
    return bool(lines)


def _train(
    ready: Prepared, workers: int, engine: Engine | None, modules: tuple[Path, ...], listener: Listener, gaps: bool
) -> Outcome | None:
    """Train what a prepared campaign lacks; None if another process began it meanwhile, by plans of its own."""
    folder = ready.folder
    runs = {name: one.run for name, one in ready.fitted.items()}
    named = [function for one in runs.values() for function in named_functions(one.model_dump(mode="json"))]
    functions = tuple(dict.fromkeys(named))
    if functions:
        listener(Note(f"runs code of: {', '.join(where_from(functions))}"))
    with ExitStack() as afterwards, _engine(ready, workers, engine) as chosen:
        with lock(folder, lambda text: listener(Note(text))) as lease:
            sweep_temporary(folder, lease.check, lambda line: listener(Note(line)))
            if recorded_in(folder) != ready.recorded:
                return None
            # Asked again under the lock: before it, another process may have added rounds.
            todo = {name: missing(one, folder / name, gaps) for name, one in runs.items()}
            for line in (*lost_in(folder, todo), *added_to(folder, runs)):
                listener(Note(line))
            record_campaign(folder, ready.campaign, runs, lease.check, lambda line: listener(Note(line)))
            for name, plans in todo.items():
                sweep_checkpoints(folder / name, [cohort.index for cohort in plans], lease.check)
            works, refused = _all_works(ready, todo, modules, lease.check, listener)
            record_begun(folder, runs, lease.check)
        afterwards.callback(let_go, works)  # once the engine's processes have ended
        for line in (*left_over_in(folder, runs), *foreword([ready.fitted[name] for name in runs if todo[name]])):
            listener(Note(line))
        steps = sum(steps_missing(work.cohort, ready.fitted[work.run_id].trial.starts) for work in works)
        listener(Begun(len(runs), steps, _rounds_done(runs, todo)))
        failed = {**refused, **failures(beside_others(chosen), works, listener)}
    refresh_index(folder)
    return Outcome(folder, tuple(runs), failed, functions)


def _engine(ready: Prepared, workers: int, engine: Engine | None) -> AbstractContextManager[Engine]:
    if engine is not None:
        return nullcontext(engine)
    processes = min(workers, sum(map(len, ready.todo.values())))
    return process_pool(processes) if processes > 1 else nullcontext(one_after_another(ready.fitted))


def _all_works(
    ready: Prepared,
    todo: Mapping[str, Sequence[CohortPlan]],
    modules: tuple[Path, ...],
    permit: Permit,
    listener: Listener,
) -> tuple[list[Work], dict[str, str]]:
    """(the pieces of work of all runs, why runs that cannot be begun failed by run id)."""
    works: list[Work] = []
    refused: dict[str, str] = {}
    for name in ready.fitted:
        try:
            works += _works(ready, name, todo[name], modules, permit, listener)
        except LeaseLostError:
            raise
        except InputError as error:
            refused[name] = only_here(error, ready.folder) if isinstance(error, DiskError) else said(error)
            with suppress(InputError):  # its log may be what cannot be written
                append_event(ready.folder / name / Layout.LOG, {"event": "failed", "why": refused[name]})
    return works, refused


def _works(
    ready: Prepared,
    name: str,
    todo: Sequence[CohortPlan],
    modules: tuple[Path, ...],
    permit: Permit,
    listener: Listener,
) -> list[Work]:
    """Write a run's run.json; the pieces of work that the run lacks."""
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


def _rounds_done(runs: Mapping[str, Run], todo: Mapping[str, Sequence[CohortPlan]]) -> int:
    """The rounds that need no training, over all runs."""
    return sum(
        one.rounds + 1 - len({plan.number for cohort in todo[name] for plan in cohort.rounds})
        for name, one in runs.items()
    )
