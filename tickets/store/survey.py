"""What is committed of a run: cohorts, and the arms and draws of their rounds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickets.errors import InputError
from tickets.store.layout import Layout, cohort_folders, round_folder, round_folders
from tickets.store.reading import Committed

Pair = tuple[str, int]  # arm (its label), draw

REPAIR = "`tickets run` with --repair"


@dataclass(frozen=True)
class SavedRound:
    """What is committed of a round, over all of its parts.

    Attributes
    ----------
    trained
        The (arm, draw) pairs that were trained.
    parts
        The number of the last part.
    options
        (label, options with which it was trained), for each arm and part.
    diverged
        The number of trainings that diverged.
    """

    trained: frozenset[Pair]
    parts: int
    options: tuple[tuple[str, Mapping[str, Any]], ...]
    diverged: int


@dataclass(frozen=True)
class SavedCohort:
    """What is committed of a cohort.

    Attributes
    ----------
    index
        The number of the cohort.
    replicates
        Its replicates.
    rounds
        {number: what is committed of the round}.
    gap
        The folder of the first round that is missing though later ones are there; None if there is none.
    """

    index: int
    replicates: tuple[int, ...]
    rounds: Mapping[int, SavedRound]
    gap: Path | None = None


def survey(folder: Path, committed: Committed | None = None) -> tuple[SavedCohort, ...]:
    """What is committed in a run's folder, by its manifests alone; empty if the folder does not exist.

    Parameters
    ----------
    folder
        The run's folder.
    committed
        A cache of its manifests; by default a new one.

    Raises
    ------
    InputError
        If a manifest is damaged, or if a cohort has rounds and no initial values.
    """
    if not folder.is_dir():
        if os.path.lexists(folder):
            raise InputError(f"{folder}: is no folder, and the folder of a run belongs there; move it away")
        return ()
    committed, found = committed or Committed(), []
    for index, cohort in cohort_folders(folder):
        if (cohort / Layout.INITIAL).is_dir():
            found.append(_surveyed(index, cohort, committed))
        elif round_folders(cohort) or (cohort / Layout.REWIND).exists():
            raise InputError(
                f"{cohort / Layout.INITIAL}: missing, though rounds that began with it are there; take it from a "
                f"backup, or train the cohort again ({REPAIR})"
            )
        # A cohort's initial values are committed first; a folder without anything was left by an interrupted process.
    return tuple(found)


_LOOKED_FOR = 100  # rounds: far more than are committed while a folder is listed


def _surveyed(index: int, cohort: Path, committed: Committed) -> SavedCohort:
    replicates = tuple(committed.manifest(cohort / Layout.INITIAL)["replicates"])
    manifests: dict[int, list[Mapping[str, Any]]] = {}
    parts: dict[int, int] = {}
    folders = round_folders(cohort)
    holes = _holes(folders)
    if any(round_folder(cohort, number).is_dir() for number in holes[:_LOOKED_FOR]):
        # They were committed while the folder was listed, which need not show two new names in their order.
        folders = round_folders(cohort)
        holes = _holes(folders)
    for number, part, folder in folders:
        manifests.setdefault(number, []).append(committed.manifest(folder))
        parts[number] = part  # the folders are sorted by part, so that the last one remains
    gap = round_folder(cohort, holes[0]) if holes else None
    # Parts of a round that is lost itself are not counted.
    there = {number: _surveyed_round(one, parts[number]) for number, one in manifests.items() if number not in holes}
    return SavedCohort(index, replicates, there, gap)


def _holes(folders: Sequence[tuple[int, int, Path]]) -> list[int]:
    """The numbers of the rounds that have no part 0, though they or later ones have parts."""
    whole = {number for number, part, _ in folders if part == 0}
    return [number for number in range(max((number for number, *_ in folders), default=-1) + 1) if number not in whole]


def _surveyed_round(manifests: Sequence[Mapping[str, Any]], parts: int) -> SavedRound:
    pairs = [frozenset((entry["arm"], entry["draw"]) for entry in manifest["arms"]) for manifest in manifests]
    return SavedRound(
        trained=frozenset().union(*pairs),
        parts=parts,
        options=tuple(
            (arm, then)
            for manifest, trained in zip(manifests, pairs, strict=True)
            for arm, then in manifest.get("arm_options", {}).items()
            if arm in {name for name, _ in trained}
        ),
        diverged=sum(manifest.get("diverged", 0) for manifest in manifests),
    )
