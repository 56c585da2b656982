"""What a run's log says was committed, compared with what is there."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickets.store.layout import Layout, cohort_folder, cohort_folders, place_of, round_folder, round_folders
from tickets.store.lease import HeldError, taken
from tickets.store.log import append_event, read_events

Key = tuple[int, int, int]  # cohort, round, part

_MOST = 2**31  # a larger number is that of no round, and may be longer than a file's name

ROUND = "round"  # the event of a committed part of a round
PROBES = "probes"  # the event of committed tables that were measured afterwards, with the name of their folder
SET_ASIDE = "set_aside"  # the event that takes back one of these: the folder was moved away


@dataclass(frozen=True)
class History:
    """The committed folders of a run, by its log and by its folders.

    Parameters
    ----------
    lost
        Those that the log has, and that are not there.
    unlogged
        Those parts of rounds that are there, and that the log does not have: a process was killed between the commit
        and the event, or is about to write the event, or lines of the log are gone.
    """

    lost: tuple[Path, ...]
    unlogged: tuple[Key, ...]


def history(run: Path) -> History:
    """Compare a run's log with its folders. The run's folder need not exist.

    Parameters
    ----------
    run
        The run's folder.

    Raises
    ------
    InputError
        If the log cannot be read.
    """
    # In this order: while another process commits rounds, one at most in each cohort is there and has no event.
    there = _committed(run)
    rounds, probes = _logged(read_events(run / Layout.LOG))
    folders = [round_folder(cohort_folder(run, cohort), number, part) for cohort, number, part in sorted(rounds)]
    folders += [run / name for name in sorted(probes)]
    lost = tuple(folder for folder in folders if not folder.is_dir() or folder.is_symlink())
    return History(lost, tuple(key for key in there if key not in rounds))


def logged_rounds(run: Path) -> set[Key]:
    """The parts of rounds that a run's log says were committed, without those that were set aside since."""
    return _logged(read_events(run / Layout.LOG))[0]


def log_round(run: Path, key: Key, **more: Any) -> None:
    """Write to a run's log that a part of a round is committed. more: further fields of the event."""
    append_event(run / Layout.LOG, {"event": ROUND, **_named(key), **more})


def log_probes(folder: Path) -> None:
    """Write to a run's log that the folder of tables that were measured afterwards is committed."""
    append_event(folder.parent.parent / Layout.LOG, {"event": PROBES, "folder": _below_run(folder)})


def log_set_aside(folder: Path) -> None:
    """Write to a run's log that a committed folder was moved away, or is lost and is to be made again."""
    place = place_of(folder)
    if place.kind == "round" and place.cohort is not None and place.round is not None and place.part is not None:
        event: dict[str, Any] = _named((place.cohort, place.round, place.part))
    else:
        event = {"folder": _below_run(folder)}
    append_event(folder.parent.parent / Layout.LOG, {"event": SET_ASIDE, **event})


def log_unlogged(run: Path, unlogged: Iterable[Key]) -> None:
    """Write the events that killed processes owe, of cohorts that no process has.

    Parameters
    ----------
    run
        The run's folder.
    unlogged
        The parts of rounds without an event, as `history` found them.
    """
    for index in sorted({cohort for cohort, _, _ in unlogged}):
        with suppress(HeldError), taken(cohort_folder(run, index)):
            log_unlogged_here(run, index)


def log_unlogged_here(run: Path, index: int) -> None:
    """As `log_unlogged`, of one cohort, whose lease this process has."""
    for key in history(run).unlogged:
        if key[0] == index:
            log_round(run, key)


def _committed(run: Path) -> list[Key]:
    if not run.is_dir():
        return []
    return [(index, number, part) for index, cohort in cohort_folders(run) for number, part, _ in round_folders(cohort)]


def _logged(events: Iterable[dict[str, Any]]) -> tuple[set[Key], set[str]]:
    """(the parts of rounds, the folders of tables) that are committed by a log's events."""
    rounds: set[Key] = set()
    probes: set[str] = set()
    for event in events:
        kind, folder = event.get("event"), event.get("folder")
        key = event.get("cohort"), event.get("round"), event.get("part", 0)
        if kind in (ROUND, SET_ASIDE) and all(type(number) is int and 0 <= number < _MOST for number in key):
            (rounds.add if kind == ROUND else rounds.discard)(key)  # type: ignore[arg-type]
        elif kind in (PROBES, SET_ASIDE) and isinstance(folder, str) and _is_of_probes(folder):
            (probes.add if kind == PROBES else probes.discard)(folder)
    return rounds, probes


def _named(key: Key) -> dict[str, int]:
    cohort, number, part = key
    return {"cohort": cohort, "round": number, "part": part}


def _below_run(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def _is_of_probes(folder: str) -> bool:
    """Whether a text is the path of a folder of tables below a run's folder, and leads nowhere else."""
    cohort, _, name = folder.partition("/")
    place = place_of(Path(cohort) / name)
    return place.kind == PROBES and place.cohort is not None and "/" not in name
