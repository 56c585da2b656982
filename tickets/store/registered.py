"""When a run's verdict rule was first seen: before training, or after how many rounds. Recorded in run.json."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tickets.store.layout import cohort_folders, round_folders

Record = dict[str, Any]


def register(records: Sequence[Mapping[str, Any]], verdict: Mapping[str, Any], rounds: int) -> list[Record]:
    """The records, with one more for this verdict rule if it differs from the last one.

    Parameters
    ----------
    records : sequence of mappings
        `registered` in run.json, the oldest first.
    verdict : mapping
        JSON of the campaign's [verdict] table.
    rounds : int
        How many rounds the run has committed, the dense one included.

    Returns
    -------
    list of dict
        Each has `sha256` of the rule, the rule itself as `verdict`, and `rounds_seen`. There is no time in it, so that
        an interrupted and resumed run has the same run.json as an uninterrupted one.
    """
    digest = _digest(verdict)
    known = [dict(record) for record in records]
    if known and known[-1].get("sha256") == digest:
        return known
    return [*known, {"sha256": digest, "verdict": dict(verdict), "rounds_seen": rounds}]


def rounds_seen(file: Mapping[str, Any]) -> int | None:
    """How many rounds had been committed when the run's present verdict rule was first seen.

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
    """How many rounds a run's cohorts have committed, the dense one included.

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
