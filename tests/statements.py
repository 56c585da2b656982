"""The tables of runs/README.md about statements, made again from the published answers of `tickets claims`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

PUBLISHED = Path(__file__).parent.parent / "runs" / "published"
ORDER = ("yes", "no", "cannot tell")


@cache
def answers(campaign: str) -> Sequence[Mapping[str, Any]]:
    """The answers of a campaign, as `tickets claims DIR --json` printed them."""
    found: list[Mapping[str, Any]] = json.loads((PUBLISHED / campaign / "claims.json").read_text())
    return found


def table_of(claims: Sequence[tuple[str, str]]) -> list[str]:
    """The table of some claims, (campaign, id) each: a row for each, a column for each data set."""
    found = {pair: [one for one in answers(pair[0]) if one["id"] == pair[1]] for pair in claims}
    data = sorted({_data(one) for rows in found.values() for one in rows})
    lines = [f"| claim | {' | '.join(data)} | n |", f"| --- |{' --- |' * len(data)} ---: |"]
    for (campaign, claim), rows in found.items():
        cells = [_cell([one for one in rows if _data(one) == name]) for name in data]
        lines.append(f"| `{campaign}: {claim}`: {rows[0]['says']} | {' | '.join(cells)} | {_counts(rows)} |")
    return lines


def tables_in(lines: Sequence[str]) -> list[list[str]]:
    """The tables of claims among lines of Markdown."""
    starts = [place for place, line in enumerate(lines) if line.startswith("| claim | ") and line.endswith(" | n |")]
    return [list(takewhile(lambda line: line.startswith("|"), lines[start:])) for start in starts]


def named_in(row: str) -> tuple[str, str] | None:
    """The campaign and the claim of a row; None if it is no row of a claim."""
    found = re.match(r"\| `(\w+): (\w+)`: ", row)
    return (found[1], found[2]) if found else None


def _data(one: Mapping[str, Any]) -> str:
    """The data set of an answer's run."""
    return str(one["run"]).partition("-")[0]


def _cell(found: Sequence[Mapping[str, Any]]) -> str:
    """Verdict and estimate; of several runs, how many have which, and the outermost numbers."""
    if not found:
        return ""
    numbers = _estimates(found)
    return f"{_verdicts(found)}: {numbers}" if numbers else _verdicts(found)


def _verdicts(found: Sequence[Mapping[str, Any]]) -> str:
    counts = {answer: sum(one["answer"] == answer for one in found) for answer in ORDER}
    there = {answer: count for answer, count in counts.items() if count}
    if len(found) == 1:
        return str(found[0]["answer"])
    return ", ".join(f"{count} {answer}" for answer, count in there.items())


def _estimates(found: Sequence[Mapping[str, Any]]) -> str:
    values = [one for one in found if one["estimate"] is not None and not math.isnan(one["estimate"])]
    if not values:
        return ""
    if len(values) == 1:
        (one,) = values
        ends = "" if one["low"] is None else f" [{_text(one['low'])}, {_text(one['high'])}]"
        return f"{_text(one['estimate'])}{ends}"
    numbers = [one["estimate"] for one in values]
    ends = [one[key] for one in values for key in ("low", "high")]
    around = "" if None in ends else f" [{_text(min(ends))}, {_text(max(ends))}]"
    return f"{_text(min(numbers))} to {_text(max(numbers))}{around}"


def _counts(found: Sequence[Mapping[str, Any]]) -> str:
    numbers = sorted({one["n"] for one in found})
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _text(value: float) -> str:
    return f"{value:.3g}"
