"""The results of a campaign, the status of its runs, and notes about them, on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.table import Table

from tickets.command_line.terminal import make_console, say, show_table
from tickets.coverage import Coverage, coverage_from_json
from tickets.plurals import counted
from tickets.store import RunStatus, Saved, load


def print_results(folder: Path, runs: Sequence[str]) -> None:
    """Print each run's test accuracy at early stop, by density and arm, and whether it has a winning ticket.

    Parameters
    ----------
    folder
        The campaign's folder.
    runs
        The ids of the runs.
    """
    # These import scipy, which `print_status` does without.
    from tickets.analysis import rules_of, table, winning
    from tickets.command_line.verdict import print_verdict

    saved = load(folder)
    console, rules = make_console(), rules_of(saved)
    for run in runs:
        rounds = saved.rounds[saved.rounds["run"] == run]
        if rounds.empty:
            continue
        labels = rules[run].labels
        label = labels.main
        wide = table(rounds, labels.metric, label.factor, label.table_form)
        replicates = rounds["replicate"].nunique()
        over = "mean ± standard deviation over " if replicates > 1 else ""
        heading = f"{labels.heading(labels.metric)}{label.axis_unit}, {over}{counted(replicates, 'replicate')}"
        say(console, f"{run}: {heading}")
        for line in saved.left_over(run):
            say(console, f"({line})")
        shown = Table()
        shown.add_column("density", justify="right")
        for arm in wide.columns:
            shown.add_column(arm, justify="right")
        for density, row in wide.iterrows():
            shown.add_row(str(density), *map(str, row))
        show_table(console, shown)
        lost = int(rounds["diverged"].sum())
        if lost:
            say(console, f"{lost:,} of {counted(len(rounds), 'training')} diverged; the means leave them out")
        (answer,) = winning(rounds, rules)
        print_verdict(console, answer)
    say(console, f"saved in {folder}")


def print_status(found: Sequence[RunStatus], going_on: Sequence[str] = ()) -> None:
    """Print a table of all runs; below it who trains, why runs failed or what they lack, and notes about them.

    Parameters
    ----------
    found
        The status of each run. The table has a column of diverged trainings if there are any.
    going_on
        Lines that say who trains what, and the time that is left.
    """
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
    for line in going_on:
        say(console, line)
    for one in found:
        why = one.why or (f"lacks {', '.join(one.missing_arms)}" if one.missing_arms else "")
        if why:
            say(console, f"{one.run}: {why}")
    for line in _each_once({one.run: _about(coverage_from_json(one.coverage)) for one in found if one.coverage}):
        say(console, line)
    for one in found:
        for line in (*one.left_over, *one.unmeasured):
            say(console, f"{one.run}: {line}")


def print_notes(saved: Saved) -> None:
    """Print what to know of each run when its arms are compared: what is prunable, how arms differ from the ticket.

    Parameters
    ----------
    saved
        The saved runs.
    """
    covered = {run: saved.coverage(run) for run in saved.runs}
    notes = {run: (*_about(covered[run]), *saved.notes(run)) for run in saved.runs}
    console = make_console()
    for line in _each_once(notes):
        say(console, line)


def _about(coverage: Coverage | None) -> tuple[str, ...]:
    if coverage is None:
        return ()
    return (coverage.sentence, *([f"warning: {coverage.warning}"] if coverage.warning else []))


def _each_once(lines: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The distinct lines of all runs; a line that not all runs have begins with those that have it."""
    runs: dict[str, list[str]] = {}
    for run, of_run in lines.items():
        for line in of_run:
            runs.setdefault(line, []).append(run)
    for line, names in runs.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield line if len(names) == len(lines) else f"{names[0]}{more}: {line}"
