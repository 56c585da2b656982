"""Several processes that train one campaign: each trains the cohorts that no other has begun."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tickets.engines import P, Trains
from tickets.errors import InputError
from tickets.listener import Listener, Note
from tickets.piece import Elsewhere, Piece
from tickets.store import Holder, Watch, holder_of, look_again_after, take


def beside_others(engine: Trains[P], waits: bool = True) -> Trains[P]:
    """An engine that first trains the work that no other process has begun, and then waits for the others.

    It ends when all work is committed, by this process or by others. If the process that has a cohort ends, or does not
    renew its lease in time, the cohort is given to the engine again.

    Parameters
    ----------
    engine
        The engine that trains.
    waits
        Whether it waits for processes that are at work. If not, it ends once each process that has a cohort was seen to
        be at work or its lease has expired, which takes 5 minutes at most; what others then have is left to them.

    Returns
    -------
    Engine
    """

    def shared(works: Sequence[P], listener: Listener) -> Iterator[tuple[P, str | None]]:
        watch, elsewhere = Watch(), list[P]()
        while works:
            results: Any = engine(works, listener)
            with closing(results) if hasattr(results, "close") else nullcontext():
                for result in results:
                    if (work := _elsewhere(result)) is None:
                        yield result
                    else:
                        elsewhere.append(work)
                        if waits:
                            listener(Note(f"{work.name}: {result[1]}; comes back to it later"))
            works = _free(elsewhere, watch, waits)
            elsewhere = [work for work in elsewhere if work.name not in {one.name for one in works}]
            for work in works:
                if work.expired is not None:
                    listener(Note(f"{work.name}: its process has not renewed its lease for long; takes it over"))
        for work in elsewhere:
            yield work, Elsewhere("another process is training it")

    # An error names the engine.
    shared.__module__ = getattr(engine, "__module__", None) or type(engine).__module__
    shared.__qualname__ = getattr(engine, "__qualname__", None) or type(engine).__qualname__
    return shared


def let_go(works: Sequence[Piece]) -> None:
    """Remove the leases of processes of this machine that were ended while they trained, such as workers by Ctrl-C.

    Processes of other machines cannot see that these have ended, and would wait until the leases expire.

    Parameters
    ----------
    works
        The works that those processes were given.
    """
    for work in works:
        with suppress(OSError, InputError):
            holder = holder_of(work.cohort_folder)
            if holder is not None and holder.has_ended:
                take(work.cohort_folder).release()


def _elsewhere(result: Any) -> Any:
    """The work of an engine's result that another process has; None for any other result."""
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Elsewhere):
        return result[0] if isinstance(result[0], Piece) else None
    return None


def _free(works: Sequence[P], watch: Watch, waits: bool) -> list[P]:
    """Wait until the cohort of at least one work can be taken, and return these works.

    Empty if there are no works or, unless `waits`, once each of the others is seen to be at work.
    """
    looks, first = 0, dict[Path, str]()
    while works:
        free, silent = [], []
        for work in works:
            state, holder = watch.look(work.cohort_folder)
            if state != "held" or holder is None:
                free.append(replace(work, expired=holder.mark if holder is not None and state == "expired" else None))
            elif waits or not _is_at_work(holder, first.setdefault(work.cohort_folder, holder.mark)):
                silent.append(work)
        if free:
            return free
        works = silent
        if works:
            looks += 1
            time.sleep(look_again_after(looks))
    return []


def _is_at_work(holder: Holder, first: str) -> bool:
    """Whether a process is seen to be at work: it runs on this machine, or has renewed its lease since `first`."""
    return holder.is_at_work_here or holder.mark != first
