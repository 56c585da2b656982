"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from tickets.analysis import table
from tickets.command_line.progress import counted
from tickets.command_line.terminal import make_console, say, show_table
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
        say(console, f"{run}: {heading}")
        shown = Table()
        shown.add_column("density", justify="right")
        for arm in wide.columns:
            shown.add_column(arm, justify="right")
        for density, row in wide.iterrows():
            shown.add_row(str(density), *map(str, row))
        show_table(console, shown)
        lost = int(rounds["diverged"].sum())
        if lost:
            say(console, f"{lost} of {len(rounds)} trainings diverged; they are in no mean")
    say(console, f"saved in {folder}")


def print_status(found: Sequence[RunStatus]) -> None:
    """A line a run, with a column for diverged trainings if there are any; below, why runs failed or what they lack."""
    console = make_console()
    diverged = any(one.diverged for one in found)
    shown = Table()
    for heading in ("run", "state", "rounds", "replicates", "trainings", *(["diverged"] if diverged else [])):
        shown.add_column(heading, justify="left" if heading in ("run", "state") else "right")
    for one in found:
        shown.add_row(
            one.run,
            one.state,
            f"{one.rounds_done}/{one.rounds_wanted}",
            f"{one.replicates_done}/{one.replicates_wanted}",
            f"{one.trainings_done}/{one.trainings_wanted}",
            *([str(one.diverged)] if diverged else []),
        )
    show_table(console, shown)
    for one in found:
        why = one.why or (f"lacks {', '.join(one.missing_arms)}" if one.missing_arms else "")
        if why:
            say(console, f"{one.run}: {why}")
