"""How a campaign's folder differs from what the campaign asks for: a line for the user about each difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tickets.config import Run
from tickets.plurals import counted
from tickets.store import left_over, networks_of, run_folders, runs_left_over, survey, unmeasured
from tickets.store.begun import lost_runs
from tickets.store.history import PROBES, history, log_unlogged
from tickets.store.layout import place_of

NAMED = 5  # runs of many that a line names


def added_to(folder: Path, runs: Mapping[str, Run]) -> Iterator[str]:
    """A line if a folder that holds runs gets others: after `--set`, or after an edit of the campaign file.

    Parameters
    ----------
    folder
        The campaign's folder.
    runs
        The runs that the campaign asks for, by run id.
    """
    there = {path.name for path in run_folders(folder)}
    added = [name for name in runs if name not in there]
    if there and added:
        yield (
            f"adds {counted(len(added), 'run')} to the {counted(len(there), 'run')} in {folder}: {_first(added)}; "
            "another value of data, model, train, prune, rewind, fine_tune or seed makes another run"
        )


def _first(names: Sequence[str]) -> str:
    """The first names of a list that may be long."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def lost_in(folder: Path, runs: Iterable[str]) -> Iterator[str]:
    """A line for each run that was begun and each round that was committed and is gone. Logs get events they lack.

    Parameters
    ----------
    folder
        The campaign's folder.
    runs
        The ids of its runs.
    """
    for lost in lost_runs(folder):
        yield f"{lost}: was begun and is not there; it is trained again if the campaign file asks for it"
    for name in runs:
        found = history(folder / name)
        for lost in found.lost:
            again = "`tickets probe` measures it again" if place_of(lost).kind == PROBES else "it is trained again"
            yield f"{lost}: was committed and is not there; {again}"
        log_unlogged(folder / name, found.unlogged)


def left_over_in(folder: Path, runs: Mapping[str, Run]) -> Iterator[str]:
    """A line for each saved result that the campaign no longer asks for, and each probe that committed rounds lack.

    Parameters
    ----------
    folder
        The campaign's folder.
    runs
        The runs that the campaign asks for, by run id.
    """
    for name, one in runs.items():
        yield from (f"{name}: {line}" for line in left_over(one, networks_of(survey(folder / name))))
        yield from (f"{name}: {line}" for line in unmeasured(one, folder / name))
    yield from runs_left_over((path.name for path in run_folders(folder)), runs)
