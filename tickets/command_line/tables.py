"""Tables on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tickets.analysis import table
from tickets.command_line.progress import counted
from tickets.coverage import Coverage, coverage_from_json
from tickets.store import RunStatus, Saved, load


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
    for line in _prunable({one.run: coverage_from_json(one.network) for one in found if one.network}):
        console.print(line, soft_wrap=True)


def print_prunable(saved: Saved) -> None:
    """What of each run's weights is prunable, and a warning where that is little."""
    found = {run: saved.coverage(run) for run in saved.runs}
    for line in _prunable({run: one for run, one in found.items() if one is not None}):
        make_console().print(line, soft_wrap=True)


def _prunable(found: Mapping[str, Coverage]) -> Iterator[str]:
    """The lines, each once: runs of one sweep mostly share them."""
    runs: dict[str, list[str]] = {}
    for run, one in found.items():
        for line in (one.sentence, *([f"warning: {one.warning}"] if one.warning else [])):
            runs.setdefault(line, []).append(run)
    for line, names in runs.items():
        yield (
            line
            if len(names) == len(found)
            else f"{names[0]}{f' and {len(names) - 1} more' * (len(names) > 1)}: {line}"
        )


def make_console() -> Console:
    """Standard output; where it is no terminal, wide enough that no cell is cut."""
    # Without markup: a reason such as "[Errno 5] ..." is no style.
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 200)
