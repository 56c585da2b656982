"""Print the lines and the JSON of a command, with the control characters of other people's text escaped.

Names, paths and error texts come from files and code that somebody else may have written. A control sequence in one of
them would move the cursor, set the terminal's title or hide what follows; a line break would make up a line. Only this
module and `tickets.command_line.terminal` write to the standard streams.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Any

_LONGEST = 10_000  # characters of a line; a longer one is cut
_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")  # of Unicode: controls, surrogates, line and paragraph separators
# Marks that turn the direction of the text after them.
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def escaped(text: str, keep: str = "") -> str:
    r"""A text with its control characters, surrogates and marks of direction written as `\x1b`, `\n`, `\u202e`.

    Parameters
    ----------
    text
        The text.
    keep
        Characters that are not escaped.

    Returns
    -------
    str
        The text itself where it has none of them.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter if letter in keep or not _is_control(letter) else _written(letter) for letter in text)


def print_line(text: object, *, error: bool = False) -> None:
    """Print one line on standard output, or on standard error.

    Parameters
    ----------
    text
        The line, whose str() is printed, escaped.
    error
        Whether it goes to standard error.
    """
    line = str(text)
    if len(line) > _LONGEST:
        line = f"{line[:_LONGEST]}... ({len(line):,} characters)"
    print(escaped(line), file=sys.stderr if error else sys.stdout)


def print_json(content: Any) -> None:
    """Print JSON, in which every character above ASCII and every control character is escaped."""
    print(json.dumps(content, indent=2, ensure_ascii=True).replace("\x7f", "\\u007f"))


def print_traceback(text: str) -> None:
    """Print a traceback on standard error; its lines stay lines, and the rest is escaped."""
    print(escaped(text, keep="\n"), file=sys.stderr, end="")


def _is_control(letter: str) -> bool:
    return letter in _DIRECTIONS or unicodedata.category(letter) in _CATEGORIES


def _written(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
