"""Run a campaign: train what is missing, and leave committed rounds unchanged."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickets.checked import Checked, folder_of, module_folders, read_or_take, recorded_in
from tickets.checks import check_not_another
from tickets.code_hashes import named_functions, where_from
from tickets.cohort import steps_missing
from tickets.config import Campaign
from tickets.differences import added_to, left_over_in, lost_in
from tickets.engines import Engine, one_after_another, train_all
from tickets.errors import InputError
from tickets.estimate import estimate
from tickets.executors import engine_for
from tickets.foreword import foreword
from tickets.importing import importable
from tickets.listener import Begun, Listener, Note, without_repeats
from tickets.piece import Piece
from tickets.preparation import Prepared, check_for_worker, prepare, settled_anew
from tickets.process_state import one_campaign_at_a_time
from tickets.recording import record_campaign
from tickets.rivals import beside_others, let_go
from tickets.store import (
    Saved,
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
from tickets.taking import begun_when_taken, pieces_of
from tickets.workers import end_if_unguarded, process_pool
from tickets.works import rounds_done, works_of

PIECES_A_PROCESS = 4  # that a worker with several processes takes at a time, so that none waits long for the others


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
    elsewhere
        The number of cohorts that other processes were training when this one ended.
    """

    folder: Path
    runs: tuple[str, ...]
    failed: Mapping[str, str]
    functions: tuple[str, ...] = ()
    elsewhere: int = 0


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
        timed=listener is not None,
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
    worker: bool = False,
    timed: bool = False,
) -> Outcome:
    """Run a campaign like `run`, but without an error for a run that fails: the outcome says which failed.

    The parameters are those of `run`, and two more. `worker`: whether this process is one of several that share the
    cohorts among them. It then leaves what others are training to them (see `beside_others`), and signs what it trains.
    `timed`: whether the listener gets a note of how long a campaign will take, if nothing of it is saved, and this
    process or some that it starts train it.

    Raises
    ------
    InputError
        If the input is wrong.
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
        prepared: Callable[..., Checked] = (
            check_for_worker if worker else functools.partial(prepare, keep_failures=True, gaps=repair)
        )
        ready: Checked | None = None
        timed = timed and not worker and not repair and engine is None
        while True:
            if ready is None:
                ready = prepared(campaign, out=out, data=data, settings=settings, device=device, workers=workers)
            time = _time(ready) if timed and isinstance(ready, Prepared) else None
            timed = False
            outcome = _train(ready, workers, engine, tuple(folders), listener, time)
            if outcome is None:
                ready = settled_anew(ready) if isinstance(ready, Prepared) else None
                continue
            # On another machine a round that is trained again may have other last bits, and later ones no longer fit.
            if not repair or outcome.failed or not _repair(ready.folder, listener):
                return outcome
            ready = None


def _time(ready: Prepared) -> str | None:
    """How long a campaign of which nothing is saved will take; None if something is, or if that is not worth a line."""
    todo = {name: cohorts for name, cohorts in ready.todo.items() if cohorts}
    if any(cohort.exists for cohorts in todo.values() for cohort in cohorts):
        return None
    found = estimate(ready, todo)
    return None if found is None else found.sentence(ready.sharing)


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
    ready: Checked,
    workers: int,
    engine: Engine | None,
    modules: tuple[Path, ...],
    listener: Listener,
    time: str | None = None,
) -> Outcome | None:
    """Train what a campaign lacks; None if another process began some of it meanwhile, by plans of its own.

    A campaign that is `Prepared` is trained to its end. Of one that is `Checked`, runs are prepared when this process
    takes them, and what others train is left to them. time: a note of how long it will take.
    """
    folder = ready.folder
    runs = {name: one.run for name, one in ready.fitted.items()}
    named = [function for one in runs.values() for function in named_functions(one.model_dump(mode="json"))]
    functions = tuple(dict.fromkeys(named))
    if functions:
        listener(Note(f"runs code of: {', '.join(where_from(functions))}"))
    with ExitStack() as afterwards, _engine(ready, workers, engine) as chosen:
        with lock(folder, lambda text: listener(Note(text))) as lease:
            sweep_temporary(folder, lease.check, lambda line: listener(Note(line)))
            if isinstance(ready, Prepared) and recorded_in(folder) != ready.recorded:
                return None
            todo = ready.todo
            if isinstance(ready, Prepared):  # asked again under the lock: before it, another may have added rounds
                todo = {name: missing(one, folder / name, ready.gaps) for name, one in runs.items()}
            for line in (*lost_in(folder, todo), *(added_to(folder, runs) if isinstance(ready, Prepared) else ())):
                listener(Note(line))
            record_campaign(folder, ready.campaign, runs, lease.check, lambda line: listener(Note(line)))
            for name, plans in todo.items():
                sweep_checkpoints(folder / name, [cohort.index for cohort in plans], lease.check)
            refused: dict[str, str] = {}
            pieces: Sequence[Piece]
            if isinstance(ready, Prepared):
                works, refused = works_of(ready, todo, modules, lease.check, listener)
                pieces = works
                train = functools.partial(train_all, beside_others(chosen), works)
            else:
                pieces = pieces_of(ready, todo)
                at_once = 1 if workers == 1 else PIECES_A_PROCESS * workers
                taking = begun_when_taken(chosen, ready, modules, at_once)
                train = functools.partial(train_all, beside_others(taking, waits=False), pieces)
            record_begun(folder, runs, lease.check)
        afterwards.callback(let_go, pieces)  # once the engine's processes have ended
        left_over = left_over_in(folder, runs) if isinstance(ready, Prepared) else ()
        for line in (*left_over, *foreword([ready.fitted[name] for name in runs if todo[name]])):
            listener(Note(line))
        steps = sum(steps_missing(piece.cohort, ready.fitted[piece.run_id].trial.starts) for piece in pieces)
        listener(Begun(len(runs), steps, rounds_done(runs, todo)))
        if time is not None:
            listener(Note(time))
        ended = train(listener)
    if not ended.elsewhere:
        refresh_index(folder)
    return Outcome(folder, tuple(runs), {**refused, **ended.failed}, functions, len(ended.elsewhere))


def _engine(ready: Checked, workers: int, engine: Engine | None) -> AbstractContextManager[Engine]:
    if engine is not None:
        return nullcontext(engine)
    processes = min(workers, sum(map(len, ready.todo.values())))
    return process_pool(processes) if processes > 1 else nullcontext(one_after_another(ready.fitted))
