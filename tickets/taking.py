"""A process that is one of several: it takes the runs of a campaign one after another, and begins each as it takes it.

So each run is planned, and compared with a plain loop, by one of the processes alone, and a process that is started
late or again trains at once.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from tickets.checked import Checked, recorded_in
from tickets.config import to_toml
from tickets.engines import Engine, Trains
from tickets.errors import DiskError, InputError, LeaseLostError, ReplacedError
from tickets.listener import Listener, Note
from tickets.piece import Elsewhere, Piece, Work
from tickets.preparation import settle
from tickets.recording import check_unreplaced
from tickets.store import CohortPlan, Watch, lock, missing, record_begun
from tickets.work import only_here, said
from tickets.works import begin_run

FIRST = 32  # runs, of which a process takes one at random: those that start together take different ones


def pieces_of(checked: Checked, todo: Mapping[str, Sequence[CohortPlan]]) -> list[Piece]:
    """What each cohort of a campaign lacks, in the order of its runs.

    Parameters
    ----------
    checked
        The campaign.
    todo
        What each run lacks, by id.
    """
    return [
        Piece(run=fitted.run, run_id=name, folder=(checked.folder / name).absolute(), cohort=cohort)
        for name, fitted in checked.fitted.items()
        for cohort in todo[name]
    ]


def begun_when_taken(engine: Engine, checked: Checked, modules: tuple[Path, ...], at_least: int = 1) -> Trains[Piece]:
    """An engine that begins the run of each piece before another engine trains it.

    It takes one of the first runs that are left, at random. What another process has, and what is committed meanwhile,
    is left alone. A run that cannot be begun has failed, and the others go on.

    Parameters
    ----------
    engine
        The engine that trains.
    checked
        The campaign, whose campaign.toml is written.
    modules
        The folders of the user's own modules.
    at_least
        The number of pieces that the engine is given at once, as long as there are so many.

    Returns
    -------
    Trains[Piece]
        Of pieces of work whose runs need not have begun.
    """

    text = to_toml(checked.campaign)

    def taking(pieces: Sequence[Piece], listener: Listener) -> Iterator[tuple[Piece, str | None]]:
        works: list[Work] = []
        for of_run in _in_turn(pieces):
            reports, begun = _taken(checked, text, of_run, modules, listener)
            yield from reports
            works += begun
            if len(works) >= at_least:
                yield from _trained(engine, works, listener)
                works = []
        yield from _trained(engine, works, listener)

    # An error names the engine.
    taking.__module__ = getattr(engine, "__module__", None) or type(engine).__module__
    taking.__qualname__ = getattr(engine, "__qualname__", None) or type(engine).__qualname__
    return taking


def _in_turn(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """The pieces of one run after another."""
    runs = [list(group) for _, group in itertools.groupby(pieces, key=lambda piece: piece.run_id)]
    chance = random.Random(os.urandom(8))  # another one in each process, whatever it was started with
    while runs:
        yield runs.pop(chance.randrange(min(FIRST, len(runs))))


def _taken(
    checked: Checked, text: str, of_run: Sequence[Piece], modules: tuple[Path, ...], listener: Listener
) -> tuple[list[tuple[Piece, str | None]], list[Work]]:
    """What is to be reported of the pieces of one run, and what it takes to train the others."""
    reports: list[tuple[Piece, str | None]] = []
    free = list(of_run)
    try:
        looked = [(piece, _left_alone(piece)) for piece in of_run]
        reports = [left for _, left in looked if left is not None]
        free = [piece for piece, left in looked if left is None]
        works = _begun(checked, text, free, modules, listener) if free else []
    except (LeaseLostError, ReplacedError):
        raise
    except InputError as error:
        why = only_here(error, checked.folder) if isinstance(error, DiskError) else said(error)
        return [*reports, *((piece, why) for piece in free)], []
    lacking = {work.name for work in works}
    return [*reports, *((piece, None) for piece in free if piece.name not in lacking)], works  # others were faster


def _left_alone(piece: Piece) -> tuple[Piece, str | None] | None:
    """What is to be reported of a piece that is not to be trained now; None if it is."""
    if all(cohort.index != piece.cohort.index for cohort in missing(piece.run, piece.folder, gaps=True)):
        return piece, None
    if piece.expired is None:
        state, holder = Watch().look(piece.cohort_folder)
        if state == "held":
            return piece, Elsewhere(f"{holder} is training it")
    return None


def _begun(
    checked: Checked, text: str, pieces: Sequence[Piece], modules: tuple[Path, ...], listener: Listener
) -> list[Work]:
    """Write run.json of the run of some pieces, if that says anything else, and give what it takes to train them.

    text: the campaign's campaign.toml.
    """
    name, expired = pieces[0].run_id, {piece.cohort.index: piece.expired for piece in pieces}
    while True:
        ready = settle(checked, name)
        with lock(checked.folder, lambda text: listener(Note(text))) as lease:
            if recorded_in(checked.folder, [name]) != ready.recorded:
                continue  # another process has begun it meanwhile, by a plan of its own
            check_unreplaced(checked.folder, text)
            todo = missing(ready.fitted[name].run, checked.folder / name, checked.gaps)
            wanted = [cohort for cohort in todo if cohort.index in expired]
            works = begin_run(ready, name, wanted, modules, lease.check, listener)
            record_begun(checked.folder, [name], lease.check)
        return [replace(work, expired=expired[work.cohort.index], signed=True) for work in works]


def _trained(engine: Engine, works: Sequence[Work], listener: Listener) -> Iterator[tuple[Piece, str | None]]:
    """What an engine reports of some works, of which there may be none."""
    results: Any = engine(works, listener) if works else iter(())
    with closing(results) if hasattr(results, "close") else nullcontext():
        yield from results
