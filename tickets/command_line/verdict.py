"""The answer to "is there a winning ticket?", and to every claim, on the terminal."""

from __future__ import annotations

import math

import pandas as pd
from rich.console import Console
from rich.table import Table

from tickets.analysis import Winning
from tickets.analysis.messages import headline, paragraphs
from tickets.command_line.terminal import make_console, say, show_table


def print_verdict(console: Console, one: Winning) -> None:
    """The verdict and where it was decided; then the numbers, a line each."""
    say(console, f"{one.run}: {headline(one)}")
    for line in paragraphs(one):
        say(console, f"  {line}", indent=4)


def print_claims(found: pd.DataFrame) -> None:
    """A row per claim, with the answer and its numbers; below, each claim and its reasons, a line each."""
    console = make_console()
    shown = Table()
    for heading in ("run", "claim", "answer", "density", "points", "95 % interval", "n", "registered"):
        shown.add_column(heading, justify="right" if heading in ("density", "points", "95 % interval", "n") else "left")
    for row in found.to_dict("records"):
        low, high = _points(row["low"]), _points(row["high"])
        shown.add_row(
            row["run"],
            row["id"],
            row["answer"],
            "" if _missing(row["density"]) else f"{row['density']:.4f}",
            _points(row["estimate"]),
            f"[{low}, {high}]" if low else "",
            str(row["n"]),
            row["registered"],
        )
    show_table(console, shown, keys=2)
    for row in found.to_dict("records"):
        say(console, f"{row['run']}, {row['id']}: {row['says']}? {row['answer']}.")
        for line in str(row["why"]).splitlines():
            say(console, f"  {line}", indent=4)


def _points(value: object) -> str:
    return "" if _missing(value) else f"{100 * float(str(value)):+.2f}"


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
