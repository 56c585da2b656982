"""The record, in run.json, of how many rounds were trained when a run's verdict rule was first seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tickets.store.layout import cohort_folders, round_folders

Record = dict[str, Any]


def register(records: Sequence[Mapping[str, Any]], verdict: Mapping[str, Any], rounds: int) -> list[Record]:
    """Add a record of a verdict rule, unless it equals the last one recorded.

    Parameters
    ----------
    records : sequence of mappings
        `registered` in run.json, oldest first.
    verdict : mapping
        The campaign's [verdict] table, as JSON values.
    rounds : int
        The number of rounds that the run has committed, including the dense one.

    Returns
    -------
    list of dict
        Each record has the rule as `verdict`, its hash as `sha256`, and `rounds_seen`. It contains no time, so that an
        interrupted and resumed run has the same run.json as an uninterrupted one.
    """
    digest = _digest(verdict)
    known = [dict(record) for record in records]
    if known and known[-1].get("sha256") == digest:
        return known
    return [*known, {"sha256": digest, "verdict": dict(verdict), "rounds_seen": rounds}]


def rounds_seen(file: Mapping[str, Any]) -> int | None:
    """The number of rounds that had been committed when a run's present verdict rule was first seen.

    Parameters
    ----------
    file : mapping
        The content of run.json.

    Returns
    -------
    int or None
        None if it is not recorded.
    """
    digest = _digest(file.get("config", {}).get("verdict") or {})
    found = [record.get("rounds_seen") for record in file.get("registered", ()) if record.get("sha256") == digest]
    return found[0] if found and isinstance(found[0], int) else None


def rounds_committed(run: Path) -> int:
    """The number of rounds that a run's cohorts have committed, including the dense one.

    Parameters
    ----------
    run : Path
        The run's folder, which may not exist yet.
    """
    if not run.is_dir():
        return 0
    return len({number for _, cohort in cohort_folders(run) for number, _, _ in round_folders(cohort)})


def _digest(verdict: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(verdict, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
