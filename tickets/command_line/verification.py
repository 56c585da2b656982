"""What is wrong with saved files, said."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tickets.plurals import counted
from tickets.store.verify import Problem


def print_problems(folder: Path, problems: Sequence[Problem], notes: Sequence[Problem], as_json: bool) -> None:
    """Print the problems of a folder, and notes on it; as JSON the problems alone, with the notes on stderr."""
    for note in notes:
        print(f"note: {note.path}: {note.what}", file=sys.stderr if as_json else sys.stdout)
    if as_json:
        print(json.dumps([asdict(one) for one in problems], indent=2))
        return
    for problem in problems:
        print(f"{problem.path}: {problem.what}", file=sys.stderr)
    print(f"{folder}: {counted(len(problems), 'problem')}" if problems else f"{folder}: all files are as committed")
