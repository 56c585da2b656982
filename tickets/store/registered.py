"""The record, in run.json, of how many rounds were trained when a run's verdict rule and claims were first seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tickets.store.layout import cohort_folders, round_folders

Record = dict[str, Any]


def register(
    records: Sequence[Mapping[str, Any]],
    verdict: Mapping[str, Any],
    rounds: int,
    claims: Sequence[Mapping[str, Any]] = (),
) -> list[Record]:
    """Add a record of a verdict rule, and of each claim, unless it equals the last one recorded.

    Parameters
    ----------
    records : sequence of mappings
        `registered` in run.json, oldest first.
    verdict : mapping
        The campaign's [verdict] table, as JSON values.
    rounds : int
        The number of rounds that the run has committed, including the dense one.
    claims : sequence of mappings
        The campaign's [[claim]] tables, as JSON values, each with its `id`.

    Returns
    -------
    list of dict
        Each record has the rule as `verdict`, or the claim as `claim`; its hash as `sha256`; and `rounds_seen`. It
        contains no time, so that an interrupted and resumed run has the same run.json as an uninterrupted one; of
        claims, the run's log has the time.
    """
    found = [dict(record) for record in records]
    for name, content in (("verdict", verdict), *(("claim", claim) for claim in claims)):
        digest = _digest(content)
        last = next((one for one in reversed(found) if _is_of(one, name, content)), None)
        if last is None or last.get("sha256") != digest:
            found.append({"sha256": digest, name: dict(content), "rounds_seen": rounds})
    return found


def rounds_seen(file: Mapping[str, Any], claim: Mapping[str, Any] | None = None) -> int | None:
    """The number of rounds that had been committed when a run's present verdict rule, or a claim, was first seen.

    Parameters
    ----------
    file : mapping
        The content of run.json.
    claim : mapping, optional
        The claim, as run.json's configuration has it. None: the verdict rule.

    Returns
    -------
    int or None
        None if it is not recorded.
    """
    name = "verdict" if claim is None else "claim"
    content = file.get("config", {}).get("verdict") or {} if claim is None else claim
    digest = _digest(content)
    of_kind = (one for one in file.get("registered", ()) if _is_of(one, name, content))
    found = [one.get("rounds_seen") for one in of_kind if one.get("sha256") == digest]
    return found[0] if found and isinstance(found[0], int) else None


def _is_of(record: Mapping[str, Any], name: str, content: Mapping[str, Any]) -> bool:
    """Whether a record is one of verdict rules, or one of the claims with the id of this one."""
    if name == "verdict":
        return "claim" not in record
    claim = record.get("claim")
    return isinstance(claim, Mapping) and claim.get("id") == content.get("id")


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


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
