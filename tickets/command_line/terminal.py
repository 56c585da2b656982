"""How prose and tables are printed, on terminals of any width and into files: nothing is cut."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table

_WIDEST = 100_000  # columns; no table is wider


def make_console() -> Console:
    """Standard output: as wide as the terminal; where it is none, so wide that nothing is wrapped or cut."""
    terminal = sys.stdout.isatty()
    # Without markup: a reason such as "[Errno 5] ..." is no style.
    return Console(highlight=False, markup=False, force_terminal=terminal, width=None if terminal else _WIDEST)


def say(console: Console, text: str, indent: int = 0) -> None:
    """Print prose: wrapped between words on a terminal, each paragraph in one line elsewhere.

    Parameters
    ----------
    console
        From `make_console`.
    text
        One paragraph or, with line breaks, several. A word that is longer than the terminal is wide stays whole.
    indent
        Spaces before every line that a paragraph goes on in.
    """
    lines = text.splitlines() or [""]
    if console.is_terminal:
        lines = [part for line in lines for part in wrapped(line, console.width, indent)]
    for line in lines:
        console.print(line, soft_wrap=True)


def wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    """Text as lines of at most so many columns, broken at spaces only; a longer word is a line of its own.

    indent: spaces before each line but the first.
    """
    lines = [""]
    for place, word in enumerate(text.split(" ")):
        longer = f"{lines[-1]} {word}" if place else word
        if cell_len(longer.rstrip()) <= width or not lines[-1].strip():
            lines[-1] = longer
        else:
            lines.append(" " * indent + word)
    return [line.rstrip() for line in lines]


def show_table(console: Console, table: Table, keys: int = 1) -> None:
    """Print a table with every cell whole and in one line, whatever the width of the terminal.

    Elsewhere than on a terminal, and where it fits, the table is printed as it is. A terminal that is too narrow gets
    it without frame and with headings of several lines; if that is still too wide, its columns in several tables
    below each other, each of which begins with the key columns. Where the key columns leave no room for one of the
    others, it stays one table, whose lines are longer than the terminal is wide.

    Parameters
    ----------
    console
        From `make_console`.
    table
        Its columns, rows and sections are printed; options of columns other than `justify` are not looked at.
    keys
        How many of the first columns say what a row is of. They are repeated in each of several tables.
    """
    every = range(len(table.columns))
    framed = _part(table, every, framed=True)
    if not console.is_terminal or _width(console, framed) <= console.width:
        _print(console, framed)
        return
    blocks = list(_blocks(console, table, keys))
    for number, block in enumerate(blocks):
        if number:
            console.print()
        _print(console, _part(table, block, framed=False))


def _blocks(console: Console, table: Table, keys: int) -> Iterator[list[int]]:
    """The columns of each of the tables that a frameless table is split into: as few as fit; one, if none would."""
    first, others = list(range(keys)), list(range(keys, len(table.columns)))
    if any(_width(console, _part(table, [*first, index], framed=False)) > console.width for index in others):
        yield [*first, *others]
        return
    block = [*first, *others[:1]]
    for index in others[1:]:
        if _width(console, _part(table, [*block, index], framed=False)) > console.width:
            yield block
            block = list(first)
        block.append(index)
    yield block


def _part(table: Table, columns: Sequence[int], framed: bool) -> Table:
    """Some columns of a table, none of whose cells may wrap; without a frame, headings wrap between words."""
    part = (
        Table(title=table.title)
        if framed
        else Table(title=table.title, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    )
    cells = {index: list(table.columns[index].cells) for index in columns}
    for index in columns:
        column = table.columns[index]
        heading = str(column.header) if framed else _stacked(column)
        part.add_column(heading, justify=column.justify, vertical="bottom", no_wrap=True)
    for place, row in enumerate(table.rows):
        part.add_row(*(cells[index][place] for index in columns), end_section=row.end_section)
    return part


def _stacked(column: Column) -> str:
    """A column's heading, wrapped between words to the width of its cells or of its longest word."""
    heading = str(column.header)
    texts = [*heading.split(), *map(str, column.cells)]
    return "\n".join(wrapped(heading, max(map(cell_len, texts), default=1)))


def _width(console: Console, table: Table) -> int:
    """How wide a table is if no cell is cut or folded."""
    return Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum


def _print(console: Console, table: Table) -> None:
    table.width = _width(console, table)
    console.print(table, crop=False)
