"""The printing of what was timed: a table for each subject, a row for each benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import pandas as pd


@dataclass(frozen=True)
class Row:
    """What one benchmark gave. seconds: of every round, by who was timed. subject: whom the others are set against."""

    table: str
    name: str
    subject: str
    seconds: Mapping[str, Sequence[float]]

    def ratios(self, other: str) -> list[float]:
        """The subject's time over another's, round by round."""
        return [mine / theirs for mine, theirs in zip(self.seconds[self.subject], self.seconds[other], strict=True)]


def tables(rows: Sequence[Row]) -> str:
    """All rows, each under its table's title."""
    by_title: dict[str, list[Row]] = {}
    for row in rows:
        by_title.setdefault(row.table, []).append(row)
    return "\n\n".join(f"{title}\n{_table(members)}" for title, members in by_title.items())


def _table(rows: Sequence[Row]) -> str:
    cells = []
    for row in rows:
        others = [name for name in row.seconds if name != row.subject]
        times = {f"{name}, ms": f"{1000 * median(row.seconds[name]):.4g}" for name in (row.subject, *others)}
        ratios = {f"{row.subject} / {name}": _spread(row.ratios(name)) for name in others}
        cells.append({"": row.name, **times, **ratios})
    frame = pd.DataFrame(cells).fillna("-")
    # Times first, then ratios, also where the rows differ in who could be timed.
    ordered = sorted(frame.columns, key=lambda column: (column != "", "/" in column))
    lines = [list(ordered), *frame[ordered].values.tolist()]
    widths = [max(len(line[place]) for line in lines) for place in range(len(ordered))]
    padded = [
        [
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    rule = ["-" * width for width in widths]
    return "\n".join("| " + " | ".join(line) + " |" for line in (padded[0], rule, *padded[1:]))


def _spread(ratios: Sequence[float]) -> str:
    """Median (lowest..highest)."""
    return f"{median(ratios):.3g} ({min(ratios):.3g}..{max(ratios):.3g})"
