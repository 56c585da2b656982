"""The names of all files and folders on disk, and functions that find the committed ones."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from tickets.catalogue import ARMS
from tickets.config.identity import SCHEMA_VERSION
from tickets.errors import DiskError, InputError
from tickets.opening import AGAIN

__all__ = [
    "SCHEMA_VERSION",
    "Layout",
    "Place",
    "cohort_folder",
    "cohort_folders",
    "has_own_mask",
    "is_part_of_cohort",
    "is_part_of_run",
    "keeps_counts",
    "not_folders",
    "place_of",
    "probes_folder",
    "probes_folders",
    "round_folder",
    "round_folders",
    "run_folders",
]


class Layout:
    """The names of the files and folders of a campaign folder; see "On disk" in the README."""

    # In the campaign folder.
    CAMPAIGN = "campaign.toml"
    RUNS = "runs.json"
    # Derived from the runs, for reading many of them; may be removed at any time.
    INDEX = ".index"
    KNOWN_ROUNDS = ".rounds"
    # The folder of the jobs that `tickets submit` has submitted: what they run, and what they print.
    JOBS = "jobs"
    # In it: a line for each submission, and the script of the last one.
    SUBMISSIONS = "jobs.jsonl"
    SCRIPT = "slurm.sh"
    # The folder of the random subnetworks that `tickets approximate` finds.
    APPROXIMATIONS = "approximations"
    # In a run's folder.
    RUN = "run.json"
    LOG = "log.jsonl"
    # In a cohort's folder.
    INITIAL = "initial"
    REWIND = "rewind"
    # In initial/ and rewind/.
    VALUES = "values.safetensors"
    # In rewind/, and in the rounds of a run that is fine-tuned.
    OPTIMIZER = "optimizer.safetensors"
    # In a round's folder.
    MASKS = "masks.safetensors"
    WEIGHTS = "weights.safetensors"
    TRAINED = "trained.safetensors"
    NEXT_MASKS = "next_masks.safetensors"
    SHRUNK = "shrunk.safetensors"
    CURVES = "curves.parquet"
    ROUNDS = "rounds.parquet"
    # The ending of the file name of a probe's table.
    TABLE = ".parquet"
    # In every committed folder, written last.
    MANIFEST = "manifest.json"
    # In a cohort's folder, of a round that is not committed yet; removed once it is.
    CHECKPOINT = "checkpoint.safetensors"
    # The prefix of temporary names; then follow the final name, "-" and 32 hexadecimal digits.
    TEMPORARY = ".tmp-"
    # The prefix of lease files, in a campaign's and a cohort's folder; then follow 6 or more digits.
    LEASE = ".lease-"
    # The prefix of what was moved out of the way: damaged folders, and those that were made under a lease that another
    # process has taken over. Then follow the name, "-" and 8 hexadecimal digits. Readers pass over them.
    SET_ASIDE = "set-aside-"

    TICKET = "ticket"


# Numbers as they are written, and no longer ones than a run may have (`tickets.config.bounds`): whatever counts up to
# the number in a folder's name ends soon.
_NUMBER = r"([0-9]{3}|[1-9][0-9]{3,5})"
_PART = r"(?:\.([1-9][0-9]{0,5}))?"
_COHORT = re.compile(f"cohort-{_NUMBER}")
_ROUND = re.compile(f"round-{_NUMBER}{_PART}")
_PROBES = re.compile(f"probes-{_NUMBER}{_PART}-{_NUMBER}")
_COMMITTED = re.compile(rf"{Layout.INITIAL}|{Layout.REWIND}|{_ROUND.pattern}|{_PROBES.pattern}")


is_part_of_run = re.compile(rf"{Layout.RUN}|{Layout.LOG}|{Layout.SET_ASIDE}.+|report|{_COHORT.pattern}")
"""Matches the names of what belongs into a run's folder."""

is_part_of_cohort = re.compile(rf"{_COMMITTED.pattern}|{Layout.CHECKPOINT}|{Layout.SET_ASIDE}.+")
"""Matches the names of what belongs into a cohort's folder."""


@dataclass(frozen=True)
class Place:
    """What the path of a committed folder says that it is.

    Attributes
    ----------
    run
        The run's folder.
    cohort
        The number of the cohort; None if its folder has another name than a cohort's.
    kind
        "initial", "rewind", "round" or "probes"; "" for a folder of another name.
    round, part
        Of a round, or of what was measured of one; None for other kinds.
    """

    run: Path
    cohort: int | None
    kind: str
    round: int | None = None
    part: int | None = None


def place_of(folder: Path) -> Place:
    """The place of a committed folder, by its path alone."""
    name, cohort = folder.name, folder.parent
    run, match = cohort.parent, _COHORT.fullmatch(cohort.name)
    index = int(match[1]) if match else None
    for kind, pattern in (("round", _ROUND), ("probes", _PROBES)):
        if match := pattern.fullmatch(name):
            return Place(run, index, kind, int(match[1]), int(match[2] or 0))
    return Place(run, index, name if name in (Layout.INITIAL, Layout.REWIND) else "")


def cohort_folder(run: Path, index: int) -> Path:
    """The folder of a run's cohort, `cohort-000` for index 0."""
    return run / f"cohort-{index:03d}"


def round_folder(cohort: Path, number: int, part: int = 0) -> Path:
    """The folder of a round (part 0, `round-003`), or of a part that was added to it later (`round-003.1`)."""
    return cohort / (f"round-{number:03d}" + (f".{part}" if part else ""))


def run_folders(folder: Path) -> list[Path]:
    """The run folders in a campaign's folder, sorted by name; `[folder]` if that is a run's folder itself.

    A folder with a run.json is a run's. Links in the campaign's folder are not followed.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be read.
    """
    if os.path.lexists(folder / Layout.RUN):
        return [folder]
    names = sorted(_folder_names(folder))
    return [folder / name for name in names if os.path.lexists(folder / name / Layout.RUN)]


def cohort_folders(run: Path) -> list[tuple[int, Path]]:
    """(index, folder) of each cohort of a run, sorted by index; without temporary folders."""
    found = [(int(match[1]), run / match[0]) for match in map(_COHORT.fullmatch, _folder_names(run)) if match]
    return sorted(found)


def round_folders(cohort: Path) -> list[tuple[int, int, Path]]:
    """(number, part, folder) of each committed part of a round of a cohort, sorted by number and part."""
    matches = (match for match in map(_ROUND.fullmatch, _folder_names(cohort)) if match)
    return sorted((int(match[1]), int(match[2] or 0), cohort / match[0]) for match in matches)


def probes_folder(cohort: Path, number: int, part: int, index: int) -> Path:
    """The folder of tables that were measured of a part of a round after it was committed, `probes-003.1-000`."""
    return cohort / (f"probes-{number:03d}" + (f".{part}" if part else "") + f"-{index:03d}")


def probes_folders(cohort: Path) -> list[tuple[int, int, int, Path]]:
    """(number, part, index, folder) of each committed folder of tables measured afterwards, sorted."""
    matches = (match for match in map(_PROBES.fullmatch, _folder_names(cohort)) if match)
    return sorted((int(match[1]), int(match[2] or 0), int(match[3]), cohort / match[0]) for match in matches)


def not_folders(run: Path) -> list[Path]:
    """Files and links in a run's folder that have the name of a cohort's or of a committed folder; sorted."""
    inside = [(cohort, _COMMITTED) for _, cohort in cohort_folders(run)]
    return [
        folder / name
        for folder, pattern in [(run, _COHORT), *inside]
        for name in sorted({*os.listdir(folder)} - {*_folder_names(folder)})
        if pattern.fullmatch(name)
    ]


def has_own_mask(arm: str) -> bool:
    """Whether an arm of the catalogue, by name, has a mask of its own instead of the round's."""
    return arm in ARMS and ARMS[arm].has_own_mask


def keeps_counts(arm: str) -> bool:
    """Whether an arm of the catalogue has a mask of its own with as many weights in each tensor as the round's."""
    return has_own_mask(arm) and ARMS[arm].by_tensor


def _folder_names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        # Without a folder of this name the input is wrong.
        refused = f"{folder}: cannot read this folder ({error.strerror})"
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            raise InputError(f"{refused}; check its path") from error
        raise DiskError(f"{refused}; {AGAIN}") from error
