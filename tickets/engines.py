"""Engines: how the pieces of a campaign's work are trained, one after another or several at a time.

An engine is a function of all pieces of work and a listener. It trains each piece by `tickets.work.train`, wherever it
likes, and yields each piece once with what `train` returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from tickets.errors import InputError
from tickets.fitting import Fitted
from tickets.listener import Listener
from tickets.piece import Elsewhere, Piece, Work
from tickets.store import Layout, append_event, missing, read_events
from tickets.users_code import one_line, whole_traceback
from tickets.work import Trainer

P = TypeVar("P", bound=Piece)
Trains = Callable[[Sequence[P], Listener], Iterator[tuple[P, str | None]]]
Engine = Trains[Work]
"""Trains pieces of work and yields each with why it failed, or None. The order does not matter."""


def one_after_another(fitted: Mapping[str, Fitted] | None = None) -> Engine:
    """The engine that trains in this process, one piece after another.

    Parameters
    ----------
    fitted
        Runs by id that are known to fit their data, and are not prepared anew.

    Returns
    -------
    Engine
    """

    def engine(works: Sequence[Work], listener: Listener) -> Iterator[tuple[Work, str | None]]:
        trainer = Trainer(fitted)
        for work in works:
            yield work, trainer.train(work, listener)

    return engine


@dataclass(frozen=True)
class Ended:
    """How the pieces of work of a campaign ended.

    Attributes
    ----------
    failed
        Why each failed run failed, by run id, in the order of the works; of several failures of a run, the last.
    elsewhere
        The works that other processes have, and that were left to them.
    """

    failed: Mapping[str, str]
    elsewhere: tuple[Piece, ...] = ()


def train_all(engine: Trains[P], works: Sequence[P], listener: Listener) -> Ended:
    """Have an engine train all work, and check what it reports against what is on disk.

    Each failure is in the log of its run. Work that the engine does not report, because it ends, raises or yields
    anything else, has failed; so has work that it reports as trained and that is not committed.

    Parameters
    ----------
    engine
        The engine.
    works
        The pieces of work, each with a `name` of its own.
    listener
        Receives the events.

    Returns
    -------
    Ended
        How they ended.

    Raises
    ------
    InputError
        If the engine raises one: for what stops every run, such as a full disk.
    """
    if not works:
        return Ended({})
    reported, fault, error = _reports(engine, works, listener)
    reasons: dict[str, str] = {}
    elsewhere: list[Piece] = []
    for work in works:
        why = reported.get(work.name, fault)
        if isinstance(why, Elsewhere):
            elsewhere.append(work)
            continue
        if why is None and (lacking := _lacking(work)):
            why = f"engine {_name(engine)}: reported this work as trained, but {lacking} is not committed"
        if why is not None:
            _log_unless_logged(work, why, None if work.name in reported else error)
            reasons[work.run_id] = why
    return Ended(reasons, tuple(elsewhere))


def _reports(
    engine: Trains[P], works: Sequence[P], listener: Listener
) -> tuple[dict[str, str | None], str, BaseException | None]:
    """(what the engine reported by work, why work that it did not report failed, what it raised)."""
    waiting = {work.name for work in works}
    reported: dict[str, str | None] = {}
    who = f"engine {_name(engine)}"
    try:
        results: Any = engine(works, listener)
        with closing(results) if hasattr(results, "close") else nullcontext():
            for result in results:
                if wrong := _wrong(result, waiting, reported):
                    return reported, f"{who}: yielded {wrong}", None
                work, why = result
                reported[work.name] = why
    except (InputError, BrokenPipeError):
        raise
    except (Exception, SystemExit) as error:
        return reported, f"{who}: raised before it reported this work: {one_line(error)}", error
    return reported, f"{who}: ended and did not report this work", None


def _wrong(result: object, names: set[str], reported: Mapping[str, str | None]) -> str | None:
    """What is wrong with something that an engine yielded; None if nothing is."""
    form = "must be (work, why it failed or None)"
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], Piece):
        return f"{_short(result)}; {form}"
    work, why = result
    if why is not None and not isinstance(why, str):
        return f"{_short(why)} as why {work.name} failed; {form}"
    if why is not None and not why.strip():
        return f"an empty text as why {work.name} failed; {form}"
    if work.name not in names:
        return f"{work.name}, which is none of the works that it was given"
    return f"{work.name} twice; each work must be yielded once" if work.name in reported else None


def _short(value: object) -> str:
    try:
        text = repr(value)
    except Exception:
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _name(engine: Trains[P]) -> str:
    name = getattr(engine, "__qualname__", None) or type(engine).__qualname__
    return f"{getattr(engine, '__module__', None) or type(engine).__module__}:{name}"


def _lacking(work: Piece) -> str | None:
    """The first round of the work that is not committed, as "cohort-000, round 3"; None if all are."""
    try:
        plans = [plan for plan in missing(work.run, work.folder, gaps=True) if plan.index == work.cohort.index]
    except InputError as error:
        return f"what is saved cannot be read ({error.problems[0]}), so that cohort {work.cohort.index}"
    return next((f"cohort {plan.index}, round {plan.rounds[0].number}" for plan in plans), None)


def _log_unless_logged(work: Piece, why: str, error: BaseException | None) -> None:
    """Write a failure to the run's log, unless the process that trained the work has done so."""
    log, cohort = work.folder / Layout.LOG, work.cohort.index
    with suppress(InputError):  # a log that cannot be written does not hide the reason, nor the other runs'
        last: dict[str, Any] = {}
        for event in read_events(log):
            last = event if event.get("cohort") == cohort else last
        if (last.get("event"), last.get("why")) != ("failed", why):
            trace = {} if error is None else {"traceback": whole_traceback(error)}
            append_event(log, {"event": "failed", "cohort": cohort, "why": why, **trace})
