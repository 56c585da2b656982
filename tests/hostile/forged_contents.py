"""Saved campaigns of which one array or table is forged, with the right hash, and everything that reads them."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from hostile.forged_arrays import forged_arrays
from hostile.forged_folders import content, listed, readings, refused_or_none
from hostile.forged_tables import forged_tables, rows_of
from hostile.store_readers import GOLDEN

import tickets
from tickets.campaign import run_campaign
from tickets.probing import probe_folder
from tickets.store import Layout

_COMMON: Mapping[str, Any] = {
    "name": "forged",
    "replicates": 2,
    "rounds": 1,
    "data": "digits",
    "model": {"name": "mlp", "widths": [4]},
    "store": {"trained": "all"},
    "probes": ["units"],
    "compute": {"threads": 1, "memory_gib": 0.5},
}
_TRAIN: Mapping[str, Any] = {"steps": 8, "evaluate_every": 4, "batch_size": 50}
CAMPAIGNS: Mapping[str, Mapping[str, Any]] = {
    "rewound": {
        "arms": ["ticket", {"name": "reinit", "draws": 2}, "random_mask", "small_dense"],
        "train": {**_TRAIN, "optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.1},
        "rewind": {"step": 3},
    },
    "fine-tuned": {
        "arms": ["ticket", {"name": "repeat", "pruned": "zero_if_shrunk"}],
        "train": {**_TRAIN, "optimizer": "adam", "learning_rate": 0.01},
        "rewind": {"kind": "none"},
        "fine_tune": {"steps": 8},
    },
}
_ROUND = "cohort-000/round-001"
# Of campaigns of tests/golden, which need no training.
GOLDEN_FILES: Mapping[str, tuple[str, ...]] = {
    "units": (
        "cohort-000/initial/values.safetensors",
        f"{_ROUND}/masks.safetensors",
        f"{_ROUND}/next_masks.safetensors",
        f"{_ROUND}/weights.safetensors",
        f"{_ROUND}/trained.safetensors",
        f"{_ROUND}/curves.parquet",
        f"{_ROUND}/rounds.parquet",
        f"{_ROUND}/units.parquet",
    ),
    "rewind": ("cohort-000/rewind/values.safetensors", "cohort-000/rewind/optimizer.safetensors"),
}
FILES: Mapping[str, tuple[str, ...]] = {
    "rewound": (
        "cohort-000/initial/values.safetensors",
        "cohort-000/rewind/values.safetensors",
        "cohort-000/rewind/optimizer.safetensors",
        "cohort-000/round-000/masks.safetensors",
        "cohort-000/round-000/trained.safetensors",
        "cohort-000/round-000/rounds.parquet",
        f"{_ROUND}/masks.safetensors",
        f"{_ROUND}/next_masks.safetensors",
        f"{_ROUND}/weights.safetensors",
        f"{_ROUND}/trained.safetensors",
        f"{_ROUND}/curves.parquet",
        f"{_ROUND}/rounds.parquet",
        f"{_ROUND}/units.parquet",
        "cohort-000/probes-001-000/signs.parquet",
    ),
    "fine-tuned": (
        f"{_ROUND}/optimizer.safetensors",
        f"{_ROUND}/shrunk.safetensors",
        f"{_ROUND}/trained.safetensors",
    ),
}


def saved_campaign(name: str, folder: Path) -> Path:
    """The folder of a campaign: a copy, or trained there for two rounds, with a probe that is measured afterwards."""
    if name in GOLDEN_FILES:
        return Path(shutil.copytree(GOLDEN / name / "saved", folder))
    tickets.run({**_COMMON, **CAMPAIGNS[name]}, out=folder)
    tickets.probe(folder, "signs")
    return folder


def _one_round_more(name: str) -> dict[str, Any]:
    """The campaign, as a campaign file has it, with one round more."""
    golden = name in GOLDEN_FILES
    table = tomllib.loads((GOLDEN / name / f"{name}.toml").read_text()) if golden else {**_COMMON, **CAMPAIGNS[name]}
    return {**table, "rounds": table["rounds"] + 1}


def forgeries(path: Path) -> list[tuple[str, bytes]]:
    """Every forgery of an array or table: (what is wrong, the file)."""
    data = path.read_bytes()
    return list(forged_tables(data) if path.suffix == Layout.TABLE else forged_arrays(data))


def forged_files(path: Path, data: bytes) -> dict[Path, bytes | None]:
    """A forged array or table, and the manifest that says its size, its hash and its number of rows."""
    more: dict[str, Any] = {}
    rows = rows_of(data) if path.suffix == Layout.TABLE else None
    if rows is not None:
        manifest = content(path.parent / Layout.MANIFEST)
        if path.name in manifest.get("rows", {}):
            more["rows"] = {**manifest["rows"], path.name: rows}
        if path.stem in manifest.get("probes", {}):
            more["probes"] = {**manifest["probes"], path.stem: {**manifest["probes"][path.stem], "rows": rows}}
    return listed(path.parent, {path.name: data}, **more)


def read_everything(folder: Path) -> None:
    """Read a folder in every way in Python, and by the commands that check it."""
    for name, read in readings(folder).items():
        with _named(name):
            refused_or_none(read)
    _say(folder, "status", "verify")


def compare_everything(folder: Path) -> None:
    """Compare and answer by the commands that read the tables."""
    _say(folder, "compare", "claims")


def _say(folder: Path, *commands: str) -> None:
    for name in commands:
        with _named(name):
            assert "Traceback" not in said_by(name, folder)


def report_on(folder: Path) -> None:
    """Make the report, without its PDF files."""
    from tickets.analysis.report import make_report

    with _named("report"), mock.patch("tickets.analysis.report.page.to_pdf", return_value=b""):
        refused_or_none(lambda: make_report(tickets.load(folder, skip_damaged=True)))


def go_on_from(folder: Path, name: str, copy: Path) -> None:
    """Train another round of a copy of the folder, and measure a probe of it."""
    shutil.copytree(folder, copy)
    try:
        with _named("probe"):
            refused_or_none(lambda: _without_failure(probe_folder(copy, "sharpness").failed))
        with _named("run"):
            refused_or_none(lambda: _run(_one_round_more(name), copy))
    finally:
        shutil.rmtree(copy)


def said_by(command: str, folder: Path) -> str:
    """What a command prints on standard error; its status must be 0, 1 or 2."""
    from tickets.command_line.app import main

    printed, errors, status = io.StringIO(), io.StringIO(), None
    with (
        mock.patch.object(sys, "argv", ["tickets", command, str(folder)]),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main()
        except SystemExit as ended:
            status = ended.code
    assert status in (0, 1, 2)
    return errors.getvalue()


def _run(table: Mapping[str, Any], out: Path) -> None:
    options: dict[str, Any] = {"data": None, "settings": (), "device": "cpu", "workers": 1, "listener": _ignored}
    _without_failure(run_campaign(table, out=out, **options).failed)


def _ignored(event: object) -> None:
    """A listener."""


def _without_failure(failed: Mapping[str, str]) -> None:
    assert not failed, failed


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(f"read by {name}")
        raise
