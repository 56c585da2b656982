"""A saved run whose masks another run takes (transfer): where it is, what it has, and what run.json keeps of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickets.errors import InputError
from tickets.plurals import counted
from tickets.store.arrays import Mask, Shapes
from tickets.store.layout import Layout, cohort_folder, round_folder, run_folders
from tickets.store.manifests import damaged, read_manifest, read_run
from tickets.store.reading import Committed, file_problem, read_next_masks, read_round_masks, read_shapes
from tickets.store.survey import SavedCohort, survey

NAMED = 5  # runs that an error lists


@dataclass(frozen=True)
class SourceRun:
    """A saved run whose masks are taken.

    Attributes
    ----------
    path
        As the campaign file has it.
    folder
        The run's folder.
    file
        The content of its run.json.
    cohorts
        What is committed of it.
    """

    path: str
    folder: Path
    file: Mapping[str, Any]
    cohorts: tuple[SavedCohort, ...]

    @property
    def run(self) -> str:
        """Its run id."""
        return str(self.file.get("run", self.folder.name))

    @property
    def shapes(self) -> Shapes:
        """The shape of each prunable tensor, by name, in the model's order; of a run with at least one round."""
        first = next(cohort for cohort in self.cohorts if cohort.rounds)
        whole = round_folder(cohort_folder(self.folder, first.index), 0)
        return read_shapes(Committed().checked(whole, Layout.MASKS))

    def lacking(self, replicates: Iterable[int], rounds: int) -> Iterator[str]:
        """What it lacks of the rounds 0 to `rounds` of some replicates, in sentences."""
        wanted, there = set(replicates), {replicate for cohort in self.cohorts for replicate in cohort.replicates}
        if not there:
            yield "nothing of it is trained yet: finish it first"
            return
        if absent := sorted(wanted - there):
            yield f"has no replicate {_listed(absent)}; it has {counted(len(there), 'replicate')}: {_listed(there)}"
        last = min(
            (max(cohort.rounds, default=-1) for cohort in self.cohorts if wanted & set(cohort.replicates)), default=-1
        )
        if there & wanted and last < rounds:
            asked = int(self.file.get("config", {}).get("rounds", last))
            fix = "finish it first" if asked >= rounds else f"it asks for {asked}; take fewer rounds, or raise its own"
            trained = "none is trained" if last < 0 else f"round {last} is the last that is trained of each replicate"
            yield f"{counted(rounds, 'round')} after round 0 are wanted, and {trained}: {fix}"

    def cohort_of(self, replicate: int) -> Path:
        """The folder of the cohort that has a replicate.

        Raises
        ------
        InputError
            If none has it.
        """
        found = next((cohort.index for cohort in self.cohorts if replicate in cohort.replicates), None)
        if found is None:
            raise InputError(f'prune.masks_from = "{self.path}": run {self.run}: has no replicate {replicate}')
        return cohort_folder(self.folder, found)

    def masks(self, replicate: int, round: int) -> dict[str, Mask] | None:
        """The ticket's masks in a round, or those that follow its last round; None past that.

        Raises
        ------
        InputError
            If a file is damaged.
        """
        cohort = self.cohort_of(replicate)
        whole, before = round_folder(cohort, round), round_folder(cohort, round - 1)
        if whole.is_dir():
            return read_round_masks(whole)[replicate]
        if not before.is_dir() or Layout.NEXT_MASKS not in read_manifest(before)["files"]:
            return None
        return read_next_masks(before)[replicate]

    def hashes(self, replicates: Iterable[int], rounds: int) -> dict[str, str]:
        """The SHA-256 of the masks of rounds 1 to `rounds` of some replicates, by the file's path in the run's folder.

        Raises
        ------
        InputError
            If a file has another one than its manifest says.
        """
        found = {}
        for cohort in dict.fromkeys(self.cohort_of(replicate) for replicate in replicates):
            for number in range(1, rounds + 1):
                folder = round_folder(cohort, number)
                manifest = read_manifest(folder)
                if wrong := file_problem(folder, Layout.MASKS, manifest):
                    raise damaged(folder / Layout.MASKS, wrong)
                path = (folder / Layout.MASKS).relative_to(self.folder).as_posix()
                found[path] = str(manifest["files"][Layout.MASKS]["sha256"])
        return found


def find_source(path: str) -> SourceRun:
    """The saved run at a path: a run's folder, or a campaign's folder that holds one run.

    A relative path starts at the current folder, as that of a data folder does.

    Raises
    ------
    InputError
        If there is no such run, or more than one.
    """
    folder, named = Path(path), f'prune.masks_from = "{path}"'
    if not folder.is_dir():
        raise InputError(f"{named}: there is no such folder; give a folder that `tickets run` wrote")
    runs = run_folders(folder)
    if not runs:
        raise InputError(f"{named}: no saved run in it (no */{Layout.RUN}); give a folder that `tickets run` wrote")
    if len(runs) > 1:
        more = f" and {len(runs) - NAMED} more" if len(runs) > NAMED else ""
        listed = ", ".join(f"{path.rstrip('/')}/{run.name}" for run in runs[:NAMED])
        raise InputError(f"{named}: holds {len(runs)} runs; name one of them: {listed}{more}")
    return SourceRun(path, runs[0], read_run(runs[0]), survey(runs[0]))


def changed(record: Mapping[str, Any], source: SourceRun, hashes: Mapping[str, str]) -> str | None:
    """Why a run that began with masks of a source cannot go on with them; None if it can.

    Parameters
    ----------
    record
        "masks_from" of its run.json.
    source
        What is at the path now.
    hashes
        Its masks' (`SourceRun.hashes`).
    """
    if record.get("run") != source.run:
        return f"holds run {source.run}, but this run began with the masks of run {record.get('run')}"
    then = record.get("files", {})
    other = [path for path, sha256 in hashes.items() if then.get(path, sha256) != sha256]
    return f"its masks have changed since this run began: {', '.join(other)}" if other else None


def transfer_text(file: Mapping[str, Any]) -> str:
    """Where the masks of a run come from, in a sentence without its full stop. file: what run.json holds."""
    record = file.get("masks_from", {})
    path = file["config"]["prune"]["masks_from"]
    if not record:
        return f"Masks taken from {path}"
    start = (
        "the initial values are that run's own"
        if record.get("same_initial")
        else "the initial values are others than that run's"
    )
    drawn: Sequence[str] = record.get("drawn", ())
    output = (
        f"; the output layer ({', '.join(drawn)}) has another shape, and its mask is drawn at random at the density "
        "that it has there"
        if drawn
        else ""
    )
    return f"Masks taken from run {record['run']} ({path}), by replicate and round; {start}{output}"


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
