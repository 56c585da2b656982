"""Several processes that train one campaign: each trains the cohorts that no other has begun."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from typing import Any

from tickets.engines import Engine
from tickets.errors import InputError
from tickets.listener import Listener, Note
from tickets.piece import Elsewhere, Work
from tickets.store import Watch, holder_of, look_again_after, take


def beside_others(engine: Engine) -> Engine:
    """An engine that first trains the work that no other process has begun, and then waits for the others.

    It ends when all work is committed, by this process or by others. If the process that has a cohort ends, or does not
    renew its lease in time, the cohort is given to the engine again.

    Parameters
    ----------
    engine
        The engine that trains.

    Returns
    -------
    Engine
    """

    def shared(works: Sequence[Work], listener: Listener) -> Iterator[tuple[Work, str | None]]:
        watch, elsewhere = Watch(), list[Work]()
        while works:
            results: Any = engine(works, listener)
            with closing(results) if hasattr(results, "close") else nullcontext():
                for result in results:
                    if (work := _elsewhere(result)) is None:
                        yield result
                    else:
                        elsewhere.append(work)
                        listener(Note(f"{work.name}: {result[1]}; comes back to it later"))
            works = _free(elsewhere, watch)
            elsewhere = [work for work in elsewhere if work.name not in {one.name for one in works}]
            for work in works:
                if work.expired is not None:
                    listener(Note(f"{work.name}: its process has not renewed its lease for long; takes it over"))

    # An error names the engine.
    shared.__module__ = getattr(engine, "__module__", None) or type(engine).__module__
    shared.__qualname__ = getattr(engine, "__qualname__", None) or type(engine).__qualname__
    return shared


def let_go(works: Sequence[Work]) -> None:
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


def _elsewhere(result: object) -> Work | None:
    """The work of an engine's result that another process has; None for any other result."""
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Elsewhere):
        return result[0] if isinstance(result[0], Work) else None
    return None


def _free(works: Sequence[Work], watch: Watch) -> list[Work]:
    """Wait until the cohort of at least one work can be taken, and return these works; empty if there are no works."""
    looks = 0
    while works:
        free = []
        for work in works:
            state, holder = watch.look(work.cohort_folder)
            if state != "held":
                free.append(replace(work, expired=holder.mark if holder is not None and state == "expired" else None))
        if free:
            return free
        looks += 1
        time.sleep(look_again_after(looks))
    return []
