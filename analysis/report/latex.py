"""Tables as LaTeX: booktabs rules, proper minus signs, aligned numbers, escaped text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from .table import cell
from .visible import visible

_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "`": r"\textasciigrave{}", "\N{MINUS SIGN}": "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "≤": r"$\leq$", "≥": r"$\geq$", "…": r"\ldots{}",
}  # fmt: skip

_NUMBER = r"[+\-\N{MINUS SIGN}]?(?:\d[\d,]*\d|\d)?(?:\.\d+|(?<=\d))(?:e[+-]?\d{1,4})?"
_IN_TEXT = re.compile(rf"(?<![^\s\[(±,]){_NUMBER}(?=$|[\s\]),%;:.])")
_CELL = re.compile(rf"({_NUMBER})(?: (± {_NUMBER}|\[{_NUMBER}, {_NUMBER}\]))?([ ,].*)?")


@dataclass(frozen=True)
class _Column:
    """A column of a table as one to three LaTeX columns: number, spread or interval, words."""

    heading: str
    formats: Sequence[str]
    rows: Sequence[str]


def to_latex(data: pd.DataFrame) -> str:
    """A table as a LaTeX tabular, which needs \\usepackage{booktabs}.

    Numbers are right-aligned. A cell such as `+0.42 [-0.10, +0.94] better` is split into number, interval and words,
    each in an aligned column. All text is escaped.
    """
    columns = [_column(str(name), data.iloc[:, place]) for place, name in enumerate(data.columns)]
    formats = "".join(part for column in columns for part in column.formats)
    heads = [_guarded(column.heading, not place) for place, column in enumerate(columns)]
    rows = zip(*(column.rows for column in columns), strict=True)
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{formats}}} % \usepackage{{booktabs}}",
            r"\toprule",
            " & ".join(heads) + r" \\",
            r"\midrule",
            *(" & ".join(_guarded(text, not place) for place, text in enumerate(row)) + r" \\" for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Text with LaTeX's special characters escaped, and with proper signs of numbers."""
    text = visible(" ".join(text.split()))
    parts, end = [], 0
    for match in _IN_TEXT.finditer(text):
        parts += [_plain(text[end : match.start()]), _number(match.group())]
        end = match.end()
    found = "".join([*parts, _plain(text[end:])])
    # A group prints the same; a program that opens the file as cells finds no formula.
    return f"{{{found[0]}}}{found[1:]}" if found.startswith(("=", "@")) else found


def _plain(text: str) -> str:
    # LaTeX turns two hyphens into a dash.
    return "".join(_ESCAPES.get(character, character) for character in text).replace("--", "-{}-").replace("--", "-{}-")


def _number(text: str) -> str:
    """A number with a proper sign and power of ten."""
    sign = {"-": "$-$", "\N{MINUS SIGN}": "$-$", "+": "$+$"}.get(text[:1], "")
    digits, _, power = (text[1:] if sign else text).partition("e")
    return f"{sign}{digits}" + (rf"$\times 10^{{{int(power)}}}$" if power else "")


def _column(name: str, values: pd.Series) -> _Column:
    texts = [" ".join(cell(value).split()) for value in values]
    matches = [_CELL.fullmatch(text) for text in texts]
    words = [text for text, match in zip(texts, matches, strict=True) if match is None]
    spread = any(match and match.group(2) for match in matches)
    listed = any(match and match.group(3) for match in matches) and not spread  # as in `25 to 75`, or `784, 300`
    if not any(matches) or listed or any(re.search(r"\d", text) for text in words):
        return _Column(escaped(name), ["l"], [escaped(text) for text in texts])
    parts = [[match.group(1), match.group(2) or "", match.group(3) or ""] if match else None for match in matches]
    used = [place for place in range(3) if any(part and part[place] for part in parts)]
    formats = ["r", "@{ }r", "@{}l"]
    rows = [
        _spanning(escaped(text), len(used), "r" if len(used) == 1 else "c")
        if part is None
        else " & ".join(_part(part[place]) for place in used)
        for text, part in zip(texts, parts, strict=True)
    ]
    heading = _spanning(escaped(name), len(used), "r" if len(used) == 1 else "c")
    return _Column(heading, [formats[place] for place in used], rows)


def _part(text: str) -> str:
    # LaTeX drops a space at the beginning of a column.
    return rf"\ {escaped(text)}" if text.startswith(" ") else escaped(text)


def _spanning(text: str, columns: int, alignment: str) -> str:
    if not text:
        return " & ".join([""] * columns)
    return text if columns == 1 else rf"\multicolumn{{{columns}}}{{{alignment}}}{{{text}}}"


def _guarded(text: str, first: bool) -> str:
    r"""A cell, in braces at the beginning of a row if `\\` or a rule before it would read `[` or `*` as an option."""
    return f"{{{text[0]}}}{text[1:]}" if first and text[:1] in ("[", "*") else text
