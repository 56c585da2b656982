"""Parse TOML that somebody else may have written, in bounded time and memory.

Python's tomllib takes time with the square of the parts of a dotted key, recurses into nested lists, and raises
ValueError for whole numbers with more digits than Python reads.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from tickets.config.bounds import DEPTH, DIGITS, VALUES
from tickets.errors import InputError

_MARK = re.compile(r'"""|\'\'\'|["\'#\[\]{}=,.\n]')
_ENDS = {  # of strings and comments, after what begins them
    '"': re.compile(r'["\\\n]'),
    '"""': re.compile(r'"""|\\'),
    "'": re.compile(r"['\n]"),
    "'''": re.compile(r"'''"),
    "#": re.compile(r"\n"),
}


def toml_of(text: str) -> dict[str, Any]:
    """The table that a text is TOML of.

    Parameters
    ----------
    text
        TOML.

    Raises
    ------
    InputError
        With one problem, the end of a sentence about the text: "is not TOML: ...", or which bound it exceeds.
    """
    _check_bounds(text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not TOML: {error}") from None
    except ValueError:  # int() of such a text is all that raises one
        raise InputError(f"has a whole number of more than {DIGITS:,} digits") from None


def _check_bounds(text: str) -> None:
    """Raise InputError for a nesting, a dotted key or a number of values above its bound. Takes linear time.

    The marks of TOML are followed as far as the text is valid; what tomllib refuses later may be refused here.
    """
    place = depth = dots = values = 0
    while (mark := _MARK.search(text, place)) is not None:
        place, found = mark.end(), mark[0]
        if found in _ENDS:
            place = _end(text, place, found)
            continue
        dots = dots + 1 if found == "." else 0
        if found in "[{":
            depth += 1
        elif found in "]}":
            depth = max(0, depth - 1)
        values += found in "[{=,"
        if depth > DEPTH or dots >= DEPTH:
            line = text.count("\n", 0, place) + 1
            what = "lists or tables are" if depth > DEPTH else "keys are"
            raise InputError(
                f"is not a campaign file: its {what} nested too deep (at line {line}; at most {DEPTH} levels)"
            )
    # A table has a bracket or two and an element of a list a comma, beside what their contents have.
    if values > 2 * VALUES:
        raise InputError(f"is not a campaign file: it has more than {VALUES:,} values")


def _end(text: str, place: int, beginning: str) -> int:
    """Where a string or a comment ends that begins before `place`."""
    pattern = _ENDS[beginning]
    while (found := pattern.search(text, place)) is not None:
        if found[0] != "\\":
            # The line break after a comment ends what stands before the comment, too.
            return found.start() if beginning == "#" else found.end()
        place = found.end() + 1
    return len(text)
