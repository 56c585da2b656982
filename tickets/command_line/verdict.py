"""Whether there is a winning ticket, and the command `tickets claims`, on the terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from tickets.analysis import Winning
from tickets.analysis.declared import label_of
from tickets.analysis.labels import Label
from tickets.analysis.messages import headline, paragraphs
from tickets.analysis.metrics import METRICS
from tickets.analysis.rule import Rules, rule_for
from tickets.command_line.left_out import print_left_out
from tickets.command_line.printing import print_json, print_line
from tickets.command_line.terminal import make_console, say, show_table
from tickets.errors import InputError
from tickets.importing import current_folder, importable
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


def answer_claims(folder: Path, as_json: bool, as_markdown: bool, trust_code: bool) -> bool:
    """Answer every claim of the saved runs in a folder, and print the answers.

    Parameters
    ----------
    folder
        A campaign's folder, or one run's.
    as_json, as_markdown
        Whether to print JSON, or Markdown, instead of a table.
    trust_code
        Whether functions outside the catalogue that claims name are called.

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

    if as_json and as_markdown:
        raise InputError("--json and --markdown: give one of them")
    saved = load(folder, skip_damaged=True, trust_code=trust_code)
    with importable(*current_folder()):
        found, damaged = claims(saved), saved.damaged
    if damaged and found.empty:
        raise InputError(list(damaged.values()))
    if as_json:
        print_json(records(found))
    elif as_markdown:
        for line in _markdown(found, rules_of(saved)):
            print_line(line)
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
    console = make_console()
    shown = Table()
    published = bool(found["published"].notna().any())
    for heading in _headings(published):
        shown.add_column(heading, justify="right" if heading in _NUMBERS else "left")
    for row in found.to_dict("records"):
        shown.add_row(*_cells(row, rules, published))
    show_table(console, shown, keys=2)
    for row in found.to_dict("records"):
        say(console, f"{row['run']}, {row['id']}: {row['says'].rstrip('.?!')}? {row['answer']}.")
        for line in str(row["why"]).splitlines():
            say(console, f"  {line}", indent=4)


_NUMBERS = ("density", "estimate", "interval", "n", "published")


def _headings(published: bool) -> list[str]:
    more = ["published", "agrees"] if published else []
    return ["run", "claim", "answer", "density", "estimate", "interval", "n", *more, "registered"]


def _cells(row: Mapping[Any, Any], rules: Rules, published: bool) -> list[str]:
    label = label_of(row["metric"], rule_for(row["run"], rules).labels)
    value, low, high = (_number(row[name], row["metric"], label) for name in ("estimate", "low", "high"))
    theirs = _number(row["published"], row["metric"], label)
    unit = f" {label.difference}" if value and label.difference and not _is_ratio(row["metric"]) else ""
    return [
        row["run"],
        row["id"],
        row["answer"],
        "" if _missing(row["density"]) else f"{row['density']:.4f}",
        f"{value}{unit}",
        f"[{low}, {high}]" if low else "",
        str(row["n"]),
        *([f"{theirs}{unit if theirs else ''}", "" if _missing(row["agrees"]) else row["agrees"]] if published else []),
        row["registered"],
    ]


def _markdown(found: pd.DataFrame, rules: Rules) -> Iterator[str]:
    """A table, then what each claim says and why."""
    published = bool(found["published"].notna().any())
    headings = _headings(published)
    yield f"| {' | '.join(headings)} |"
    yield f"| {' | '.join('---:' if heading in _NUMBERS else '---' for heading in headings)} |"
    for row in found.to_dict("records"):
        yield f"| {' | '.join(map(_cell, _cells(row, rules, published)))} |"
    for row in found.to_dict("records"):
        yield ""
        yield f"**{_cell(row['id'])}** ({_cell(row['run'])}): {_cell(row['says'])} **{row['answer']}**"
        yield ""
        yield from (f"- {_cell(line)}" for line in str(row["why"]).splitlines())


def _cell(text: str) -> str:
    """Text that is shown as it is, in a table of Markdown too."""
    return re.sub(r"([\\`*_|<>\[\]#&~])", r"\\\1", text)


def _is_ratio(metric: Any) -> bool:
    return metric in METRICS and METRICS[metric].ratio


def _number(value: Any, metric: Any, label: Label) -> str:
    if _missing(value):
        return ""
    return f"{float(value):.3f}" if _is_ratio(metric) else label.difference_text(float(value))


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
