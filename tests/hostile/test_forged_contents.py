"""Saved campaigns of which one array or table is forged and the hashes are right: read, or the toolkit's own error."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile.forged_contents import (
    CAMPAIGNS,
    FILES,
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

PLACES = [(name, file) for name, files in FILES.items() for file in files]
CASES = 2  # of each file in the suite; all of them in `make torture`


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: saved_campaign(name, tmp_path_factory.mktemp("forged") / "saved") for name in CAMPAIGNS}


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


@pytest.mark.parametrize(("name", "file"), PLACES)
def test_a_forged_array_or_table_is_read_or_refused(name: str, file: str, folders: dict[str, Path]) -> None:
    check(folders[name], file, CASES, read_everything)


def test_a_report_of_forged_tables_is_made_or_refused(folders: dict[str, Path]) -> None:
    check(folders["rewound"], "cohort-000/round-001/curves.parquet", 1, report_on)


def test_a_run_goes_on_from_a_forged_file_or_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    for name in CAMPAIGNS:
        check(folders[name], FILES[name][-3], 1, lambda folder, name=name: go_on_from(folder, name, tmp_path / name))


@pytest.mark.torture
@pytest.mark.parametrize(("name", "file"), PLACES)
def test_every_forged_array_or_table_is_read_or_refused(
    name: str, file: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    check(
        folders[name],
        file,
        None,
        read_everything,
        report_on,
        lambda folder: go_on_from(folder, name, tmp_path / "copy"),
    )


def test_a_file_that_is_larger_than_the_memory_is_refused(folders: dict[str, Path]) -> None:
    """A sparse file of half a terabyte takes no space on a disk, and its manifest says its size."""
    path = run_of(folders["rewound"]) / "cohort-000/round-001/curves.parquet"
    manifest = content(path.parent / "manifest.json")
    manifest["files"][path.name]["bytes"] = 2**39
    with forged({path: b"", path.parent / "manifest.json": sealed(manifest)}):
        os.truncate(path, 2**39)
        with pytest.raises(DiskError, match=r"its 549,755,813,888 bytes do not fit into the memory of this machine"):
            _ = tickets.load(folders["rewound"]).rounds
