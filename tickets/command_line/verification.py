"""The output of `tickets verify`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

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
        print(f"note: {note.path}: {note.what}", file=sys.stderr if as_json else sys.stdout)
    if as_json:
        print(json.dumps([asdict(one) for one in problems], indent=2))
        return
    for problem in problems:
        print(f"{problem.path}: {problem.what}", file=sys.stderr)
    if problems:
        print(_REMEDY, file=sys.stderr)
    print(f"{folder}: {counted(len(problems), 'problem')}" if problems else f"{folder}: all files are as committed")
