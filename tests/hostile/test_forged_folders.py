"""A saved campaign in which one value is forged and all hashes are right again: read, or the toolkit's own error."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile.forged_contents import go_on_from
from hostile.forged_folders import GONE, VALUES, content, forged, readings, refused_or_none, run_of, saved_copy, sealed
from hostile.places import changed, places, without
from hostile.store_readers import GOLDEN

FILES = ("run.json", "cohort-000/initial/manifest.json", "cohort-000/round-001/manifest.json")
CASES = 3  # of each file in the suite; all of them in `make torture`
SLOW_CASES = 50  # of each file in `make torture`, of what takes seconds

# Where a file cannot be read, the other readings fail by the same call.
FIRST = ("load", "verify", "status", "skip_damaged")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_copy(GOLDEN / "units" / "saved", tmp_path_factory.mktemp("forged") / "saved")


def forgeries(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Every place of a JSON file with every value."""
    value = content(path)
    return [
        (f"{place} = {name}", without(value, place) if new is GONE else changed(value, place, new))
        for place in places(value)[1:]
        for name, new in VALUES.items()
    ]


def read_all(folder: Path) -> list[str]:
    """Read the folder in every way; the names of the readings that were refused."""
    ways: dict[str, Callable[[], object]] = readings(folder)
    if refused_or_none(ways["load"]) is not None:
        ways = {name: ways[name] for name in FIRST}
    return [name for name, read in ways.items() if refused_or_none(read) is not None]


def check(folder: Path, file: str, cases: int | None) -> None:
    path = run_of(folder) / file
    every = forgeries(path)
    some = every if cases is None else random.Random(file).sample(every, cases)
    for label, value in some:
        with forged({path: sealed(value)}):
            try:
                read_all(folder)
            except Exception as error:
                error.add_note(f"{file}: {label}")
                raise


def test_the_folder_that_is_forged_is_whole(folder: Path) -> None:
    refused = read_all(folder)
    assert not {"load", "verify", "status", "rounds", "curves", "units", "arm ticket"} & set(refused)


@pytest.mark.parametrize("file", FILES)
def test_a_forged_value_is_read_or_refused(folder: Path, file: str) -> None:
    check(folder, file, CASES)


@pytest.mark.torture
@pytest.mark.parametrize("file", FILES)
def test_every_forged_value_is_read_or_refused(folder: Path, file: str) -> None:
    check(folder, file, None)


@pytest.mark.torture
@pytest.mark.parametrize("file", FILES)
def test_a_run_goes_on_from_a_forged_value_or_is_refused(file: str, folder: Path, tmp_path: Path) -> None:
    path = run_of(folder) / file
    for label, value in random.Random(file).sample(forgeries(path), SLOW_CASES):
        with forged({path: sealed(value)}):
            try:
                go_on_from(folder, "units", tmp_path / "copy")
            except Exception as error:
                error.add_note(f"{file}: {label}")
                raise
