"""Saved campaigns of which one array or table is forged and the hashes are right: read, or the toolkit's own error."""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile.forged_contents import (
    FILES,
    GOLDEN_FILES,
    compare_everything,
    forged_files,
    forgeries,
    go_on_from,
    read_everything,
    report_on,
    saved_campaign,
)
from hostile.forged_folders import content, forged, run_of, sealed

import tickets
from tickets.errors import DiskError

SOME = [(name, file) for name, files in GOLDEN_FILES.items() for file in files]
ALL = [(name, file) for name, files in FILES.items() for file in files]
CASES = 1  # of each file in the suite; all of them in `make torture`
SLOW_CASES = 20  # of each file in `make torture`, of what takes seconds


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """folder_of(campaign) is its folder."""
    return functools.cache(lambda name: saved_campaign(name, tmp_path_factory.mktemp("forged") / "saved"))


def check(folder: Path, file: str, cases: int | None, *ways: Callable[[Path], None]) -> None:
    path = run_of(folder) / file
    every = forgeries(path)
    some = every if cases is None else random.Random(file).sample(every, cases)
    for label, data in some:
        with forged(forged_files(path, data)):
            try:
                for way in ways:
                    way(folder)
            except Exception as error:
                error.add_note(f"{file}: {label}")
                raise


def comparing(file: str) -> tuple[Callable[[Path], None], ...]:
    """What compares, if it reads such a file."""
    return (compare_everything,) if file.endswith(".parquet") else ()


def test_folders_that_are_forged_are_whole(folder_of: Callable[[str], Path]) -> None:
    for name in GOLDEN_FILES:
        assert tickets.store.verify(folder_of(name)) == []


@pytest.mark.parametrize(("name", "file"), SOME)
def test_a_forged_array_or_table_is_read_or_refused(name: str, file: str, folder_of: Callable[[str], Path]) -> None:
    check(folder_of(name), file, CASES, read_everything, *comparing(file))


def test_a_run_goes_on_from_a_forged_file_or_is_refused(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    file = "cohort-000/initial/values.safetensors"
    check(folder_of("units"), file, 1, lambda folder: go_on_from(folder, "units", tmp_path / "copy"))


@pytest.mark.torture
@pytest.mark.parametrize(("name", "file"), ALL)
def test_every_forged_array_or_table_is_read_or_refused(name: str, file: str, folder_of: Callable[[str], Path]) -> None:
    check(folder_of(name), file, None, read_everything, *comparing(file))


@pytest.mark.torture
@pytest.mark.parametrize(("name", "file"), ALL)
def test_reports_are_made_and_runs_go_on_from_forged_files_or_are_refused(
    name: str, file: str, folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    def go_on(folder: Path) -> None:
        go_on_from(folder, name, tmp_path / "copy")

    check(folder_of(name), file, SLOW_CASES, report_on, go_on)


def test_a_file_that_is_larger_than_the_memory_is_refused(folder_of: Callable[[str], Path]) -> None:
    """A sparse file of half a terabyte takes no space on a disk, and its manifest says its size."""
    path = run_of(folder_of("units")) / "cohort-000/round-001/curves.parquet"
    manifest = content(path.parent / "manifest.json")
    manifest["files"][path.name]["bytes"] = 2**39
    with forged({path: b"", path.parent / "manifest.json": sealed(manifest)}):
        os.truncate(path, 2**39)
        with pytest.raises(DiskError, match=r"its 549,755,813,888 bytes do not fit into the memory of this machine"):
            _ = tickets.load(folder_of("units")).rounds
