"""Prose and tables on standard output, at any width of the terminal and in files; nothing is cut off."""

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
    """Standard output: as wide as the terminal; in files and pipes, so wide that nothing is wrapped or cut off."""
    terminal = sys.stdout.isatty()
    # Without markup: "[Errno 5] ..." would be read as a style.
    return Console(highlight=False, markup=False, force_terminal=terminal, width=None if terminal else _WIDEST)


def say(console: Console, text: str, indent: int = 0) -> None:
    """Print prose: wrapped between words on a terminal, each paragraph on one line in files and pipes.

    Parameters
    ----------
    console
        From `make_console`.
    text
        One paragraph or, with line breaks, several. A word longer than the terminal is wide is not broken.
    indent
        The number of spaces before each line of a paragraph but its first.
    """
    lines = text.splitlines() or [""]
    if console.is_terminal:
        lines = [piece for line in lines for piece in wrapped(line, console.width, indent)]
    for line in lines:
        console.print(line, soft_wrap=True)


def wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    """Text broken into lines at spaces.

    Parameters
    ----------
    text
        One paragraph.
    width
        The most columns of a line; a longer word has a line of its own.
    indent
        The number of spaces before each line but the first.

    Returns
    -------
    list of str
        The lines.
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
    """Print a table with every cell complete and on one line, whatever the width of the terminal.

    In files and pipes, and where it fits, the table is printed as it is. On a terminal that is too narrow it loses its
    frame, and its headings take several lines; if it is still too wide, its columns are split among several tables,
    each of which begins with the key columns. If the key columns leave no room for one of the others, it stays one
    table, whose lines are longer than the terminal is wide.

    Parameters
    ----------
    console
        From `make_console`.
    table
        Its columns, rows and sections are printed; options of columns other than `justify` are ignored.
    keys
        The number of key columns, the first ones, which identify a row and are repeated in each of several tables.
    """
    every = range(len(table.columns))
    framed = _columns(table, every, framed=True)
    if not console.is_terminal or _width(console, framed) <= console.width:
        _print(console, framed)
        return
    blocks = list(_blocks(console, table, keys))
    for number, block in enumerate(blocks):
        if number:
            console.print()
        _print(console, _columns(table, block, framed=False))


def _blocks(console: Console, table: Table, keys: int) -> Iterator[list[int]]:
    """The columns of each table into which a frameless table is split: as few tables as fit; one if none would fit."""
    first, others = list(range(keys)), list(range(keys, len(table.columns)))
    if any(_width(console, _columns(table, [*first, index], framed=False)) > console.width for index in others):
        yield [*first, *others]
        return
    block = [*first, *others[:1]]
    for index in others[1:]:
        if _width(console, _columns(table, [*block, index], framed=False)) > console.width:
            yield block
            block = list(first)
        block.append(index)
    yield block


def _columns(table: Table, columns: Sequence[int], framed: bool) -> Table:
    """Some columns of a table, whose cells do not wrap; without a frame, headings wrap between words."""
    shown = (
        Table(title=table.title)
        if framed
        else Table(title=table.title, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    )
    cells = {index: list(table.columns[index].cells) for index in columns}
    for index in columns:
        column = table.columns[index]
        heading = str(column.header) if framed else _stacked(column)
        shown.add_column(heading, justify=column.justify, vertical="bottom", no_wrap=True)
    for place, row in enumerate(table.rows):
        shown.add_row(*(cells[index][place] for index in columns), end_section=row.end_section)
    return shown


def _stacked(column: Column) -> str:
    """A column's heading, wrapped between words to the width of its cells or of its longest word."""
    heading = str(column.header)
    texts = [*heading.split(), *map(str, column.cells)]
    return "\n".join(wrapped(heading, max(map(cell_len, texts), default=1)))


def _width(console: Console, table: Table) -> int:
    """The width of a table if no cell is cut off or wrapped."""
    return Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum


def _print(console: Console, table: Table) -> None:
    table.width = _width(console, table)
    console.print(table, crop=False)
