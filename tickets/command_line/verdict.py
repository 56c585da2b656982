"""Whether there is a winning ticket, and the command `tickets claims`, on the terminal."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from tickets.analysis import Winning
from tickets.analysis.labels import Label
from tickets.analysis.messages import headline, paragraphs
from tickets.analysis.rule import Rules, rule_for
from tickets.command_line.left_out import print_left_out
from tickets.command_line.printing import print_json
from tickets.command_line.terminal import make_console, say, show_table
from tickets.errors import InputError
from tickets.store import load


def print_verdict(console: Console, one: Winning) -> None:
    """Print the verdict on one run and the density that decided it, then the numbers, one per line.

    Parameters
    ----------
    console
        See `make_console`.
    one
        The verdict.
    """
    say(console, f"{one.run}: {headline(one)}")
    for line in paragraphs(one):
        say(console, f"  {line}", indent=4)


def answer_claims(folder: Path, as_json: bool) -> bool:
    """Answer every claim of the saved runs in a folder, and print the answers.

    Parameters
    ----------
    folder
        A campaign's folder, or one run's.
    as_json
        Whether to print JSON instead of a table.

    Returns
    -------
    bool
        Whether damaged runs were left out.

    Raises
    ------
    InputError
        If no run can be read.
    """
    from tickets.analysis import rules_of
    from tickets.analysis.claims import claims, records

    saved = load(folder, skip_damaged=True)
    found, damaged = claims(saved), saved.damaged
    if damaged and found.empty:
        raise InputError(list(damaged.values()))
    if as_json:
        print_json(records(found))
    else:
        print_claims(found, rules_of(saved))
    return print_left_out(damaged)


def print_claims(found: pd.DataFrame, rules: Rules) -> None:
    """Print a table of all claims with their answers and numbers; below, what each says and why.

    Parameters
    ----------
    found
        The result of `tickets.analysis.claims.claims`.
    rules
        How each run is judged.
    """
    estimated = found[found["estimate"].notna()]
    units = {rule_for(run, rules).labels.accuracy.difference for run in estimated["run"]}
    common = units.pop() if len(units) == 1 else ""
    estimate = common or "estimate"
    console = make_console()
    shown = Table()
    for heading in ("run", "claim", "answer", "density", estimate, "95 % interval", "n", "registered"):
        shown.add_column(heading, justify="right" if heading in ("density", estimate, "95 % interval", "n") else "left")
    for row in found.to_dict("records"):
        label = rule_for(row["run"], rules).labels.accuracy
        value, low, high = (_difference(row[name], label) for name in ("estimate", "low", "high"))
        unit = f" {label.difference}" if value and label.difference and not common else ""
        shown.add_row(
            row["run"],
            row["id"],
            row["answer"],
            "" if _missing(row["density"]) else f"{row['density']:.4f}",
            f"{value}{unit}",
            f"[{low}, {high}]" if low else "",
            str(row["n"]),
            row["registered"],
        )
    show_table(console, shown, keys=2)
    for row in found.to_dict("records"):
        say(console, f"{row['run']}, {row['id']}: {row['says']}? {row['answer']}.")
        for line in str(row["why"]).splitlines():
            say(console, f"  {line}", indent=4)


def _difference(value: object, label: Label) -> str:
    return "" if _missing(value) else label.difference_text(float(str(value)))


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
