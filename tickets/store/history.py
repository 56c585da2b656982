"""What a run's log says was committed, and which of it is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tickets.store.layout import Layout, cohort_folder, round_folder
from tickets.store.log import read_events

Key = tuple[int, int, int]  # cohort, round, part

_MOST = 2**31  # a larger number is that of no round, and may be longer than a file's name

SET_ASIDE = "set_aside"  # the event that takes back a "round" event: the folder was moved away, to be trained again


def logged_rounds(run: Path) -> set[Key]:
    """The parts of rounds that a run's log says were committed, without those that were set aside since."""
    there: set[Key] = set()
    for event in read_events(run / Layout.LOG):
        kind = event.get("event")
        key = event.get("cohort"), event.get("round"), event.get("part", 0)
        if kind not in ("round", SET_ASIDE) or not all(type(one) is int and 0 <= one < _MOST for one in key):
            continue
        if kind == "round":
            there.add(key)  # type: ignore[arg-type]
        else:
            there.discard(key)
    return there


def lost_rounds(run: Path) -> Iterator[Path]:
    """The folders of rounds that were committed, by the log, and are not there."""
    for cohort, number, part in sorted(logged_rounds(run)):
        folder = round_folder(cohort_folder(run, cohort), number, part)
        if not folder.is_dir() or folder.is_symlink():
            yield folder
