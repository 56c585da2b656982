"""The names of all files and folders on disk, and functions that find the committed ones."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tickets.catalogue import ARMS
from tickets.config.identity import SCHEMA_VERSION
from tickets.errors import InputError

__all__ = [
    "SCHEMA_VERSION",
    "Layout",
    "cohort_folder",
    "cohort_folders",
    "has_own_mask",
    "keeps_counts",
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
    LOCK = ".lock"
    # In a run's folder.
    RUN = "run.json"
    LOG = "log.jsonl"
    # In a cohort's folder.
    INITIAL = "initial"
    REWIND = "rewind"
    # Of a round that is not committed yet; removed once it is.
    CHECKPOINT = "checkpoint.safetensors"
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
    # The prefix of temporary names; then follow the final name, "-" and 32 hexadecimal digits.
    TEMPORARY = ".tmp-"

    TICKET = "ticket"


_COHORT = re.compile(r"cohort-(\d{3,})")
_ROUND = re.compile(r"round-(\d{3,})(?:\.([1-9]\d*))?")
_PROBES = re.compile(r"probes-(\d{3,})(?:\.([1-9]\d*))?-(\d{3,})")


def cohort_folder(run: Path, index: int) -> Path:
    """The folder of a run's cohort, `cohort-000` for index 0."""
    return run / f"cohort-{index:03d}"


def round_folder(cohort: Path, number: int, part: int = 0) -> Path:
    """The folder of a round (part 0, `round-003`), or of a part that was added to it later (`round-003.1`)."""
    return cohort / (f"round-{number:03d}" + (f".{part}" if part else ""))


def run_folders(folder: Path) -> list[Path]:
    """The run folders in a campaign's folder, sorted by name; `[folder]` if that is a run's folder itself.

    A folder with a run.json is a run's.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be read.
    """
    if (folder / Layout.RUN).is_file():
        return [folder]
    names = sorted(_folder_names(folder))
    return [folder / name for name in names if (folder / name / Layout.RUN).is_file()]


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


def has_own_mask(arm: str) -> bool:
    """Whether an arm of the catalogue, by name, has a mask of its own instead of the round's."""
    return arm in ARMS and ARMS[arm].has_own_mask


def keeps_counts(arm: str) -> bool:
    """Whether an arm of the catalogue has a mask of its own with as many weights in each tensor as the round's."""
    return has_own_mask(arm) and ARMS[arm].by_tensor


def _folder_names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except OSError as error:
        raise InputError(f"{folder}: cannot read this folder ({error.strerror})") from error
