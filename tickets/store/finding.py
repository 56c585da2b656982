"""A remark of `verify` about a file or folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tickets.errors import InputError

_REMEDY = re.compile("; (?:take it from a backup|`tickets verify` lists)")  # which the command prints once, at the end


@dataclass(frozen=True)
class Finding:
    """A remark about a file or folder: that it differs from what was committed, or names code outside tickets.

    Attributes
    ----------
    path
        Its path.
    what
        The remark, as a sentence.
    """

    path: str
    what: str


def at(path: Path, problems: Iterator[str]) -> Iterator[Finding]:
    """A finding about one path for each problem."""
    return (Finding(str(path), what) for what in problems)


def unreadable(folder: Path, name: str, error: InputError) -> Finding:
    """The finding for a file in a folder, or for the folder, that could not be read."""
    text = str(error)
    for path in (folder / name, folder):
        if text.startswith(f"{path}: "):
            return Finding(str(path), _REMEDY.split(text.removeprefix(f"{path}: "))[0])
    return Finding(str(folder / name), text)
