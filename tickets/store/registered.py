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
    """The records with one for this verdict rule, if it is another than the last one registered.

    Parameters
    ----------
    records : sequence of mappings
        What run.json holds as `registered`, the oldest first.
    verdict : mapping
        JSON of the campaign's [verdict].
    rounds : int
        How many rounds the run has committed by now, the dense one included.

    Returns
    -------
    list of dict
        Each with `sha256` of the rule, the rule itself as `verdict`, and `rounds_seen`. No clock is in it, so that a
        run that was interrupted and resumed has the same run.json as one that was not.
    """
    digest = _digest(verdict)
    kept = [dict(record) for record in records]
    if kept and kept[-1].get("sha256") == digest:
        return kept
    return [*kept, {"sha256": digest, "verdict": dict(verdict), "rounds_seen": rounds}]


def rounds_seen(file: Mapping[str, Any]) -> int | None:
    """How many rounds had been committed when the run's present rule was first seen; None if that is not recorded.

    file: what run.json holds.
    """
    digest = _digest(file.get("config", {}).get("verdict") or {})
    found = [record.get("rounds_seen") for record in file.get("registered", ()) if record.get("sha256") == digest]
    return found[0] if found and isinstance(found[0], int) else None


def rounds_committed(run: Path) -> int:
    """How many rounds some cohort of a run has committed, the dense one included."""
    if not run.is_dir():
        return 0
    return len({number for _, cohort in cohort_folders(run) for number, _, _ in round_folders(cohort)})


def _digest(verdict: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(verdict, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
