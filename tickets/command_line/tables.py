"""Tables on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tickets.analysis import table
from tickets.command_line.progress import counted
from tickets.store import RunStatus, load


def print_results(folder: Path, runs: Sequence[str]) -> None:
    """Each run's test accuracy at early stop: density down, arms across."""
    saved = load(folder)
    console = make_console()
    for run in runs:
        rounds = saved.rounds[saved.rounds["run"] == run]
        if rounds.empty:
            continue
        wide = table(rounds)
        replicates = rounds["replicate"].nunique()
        over = "mean ± standard deviation over " if replicates > 1 else ""
        heading = f"test accuracy at early stop, %, {over}{counted(replicates, 'replicate')}"
        console.print(f"{run}: {heading}", soft_wrap=True)
        for line in saved.left_over(run):
            console.print(f"({line})", soft_wrap=True)
        shown = Table()
        shown.add_column("density", justify="right")
        for arm in wide.columns:
            shown.add_column(arm, justify="right")
        for density, row in wide.iterrows():
            shown.add_row(str(density), *map(str, row))
        console.print(shown)
        lost = int(rounds["diverged"].sum())
        if lost:
            console.print(f"{lost} of {len(rounds)} trainings diverged; they are in no mean")
    console.print(f"saved in {folder}", soft_wrap=True)


def print_status(found: Sequence[RunStatus]) -> None:
    """A line a run."""
    shown = Table()
    for heading in ("run", "state", "rounds", "replicates", "trainings", "diverged", "why"):
        shown.add_column(heading, overflow="fold")
    for one in found:
        shown.add_row(
            one.run,
            one.state,
            f"{one.rounds_done}/{one.rounds_wanted}",
            f"{one.replicates_done}/{one.replicates_wanted}",
            f"{one.trainings_done}/{one.trainings_wanted}",
            str(one.diverged),
            one.why or (f"lacks {', '.join(one.missing_arms)}" if one.missing_arms else ""),
        )
    console = make_console()
    console.print(shown)
    for one in found:
        for line in one.left_over:
            console.print(f"{one.run}: {line}", soft_wrap=True)


def make_console() -> Console:
    """Standard output; where it is no terminal, wide enough that no cell is cut."""
    # Without markup: a reason such as "[Errno 5] ..." is no style.
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 200)
