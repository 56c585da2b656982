"""The output of `tickets verify`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tickets.command_line.printing import print_json, print_line
from tickets.plurals import counted
from tickets.store import Finding

_REMEDY = (
    "take what differs from a backup; or `tickets run FILE.toml --repair` moves damaged rounds out of the way and "
    "trains them again"
)


def print_problems(folder: Path, problems: Sequence[Finding], notes: Sequence[Finding], as_json: bool) -> None:
    """Print the differences that `verify` found, and notes.

    Parameters
    ----------
    folder
        The folder that was verified.
    problems
        The differences, printed one per line on stderr, or as JSON on stdout.
    notes
        Notes, which are not differences; printed on stdout, or with JSON on stderr.
    as_json
        Whether to print JSON.
    """
    for note in notes:
        print_line(f"note: {note.path}: {note.what}", error=as_json)
    if as_json:
        print_json([asdict(one) for one in problems])
        return
    for problem in problems:
        print_line(f"{problem.path}: {problem.what}", error=True)
    if problems:
        print_line(_REMEDY, error=True)
    print_line(
        f"{folder}: {counted(len(problems), 'problem')}" if problems else f"{folder}: all files are as committed"
    )
