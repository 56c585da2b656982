"""Print text and tables on terminals of any width and to files, without cutting anything off."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table

from tickets.command_line.long_tables import is_long, long_lines, with_widest_cells
from tickets.command_line.printing import escaped

_WIDEST = 100_000  # columns; no table is wider


def make_console() -> Console:
    """A console for standard output, as wide as the terminal; for files and pipes so wide that no text is wrapped."""
    terminal = sys.stdout.isatty()
    # Without markup and emoji: "[Errno 5] ..." would be read as a style, and ":bomb:" is a name.
    return Console(
        highlight=False, markup=False, emoji=False, force_terminal=terminal, width=None if terminal else _WIDEST
    )


def say(console: Console, text: str, indent: int = 0) -> None:
    """Print a paragraph, wrapped between words on a terminal; in files and pipes it is one line.

    Control characters are escaped, and so are line breaks: they stand in names that somebody else has given.

    Parameters
    ----------
    console
        From `make_console`.
    text
        The paragraph. Words wider than the terminal are not broken.
    indent
        The number of spaces before each line of a paragraph except the first.
    """
    lines = [escaped(text)]
    if console.is_terminal:
        lines = [piece for line in lines for piece in wrapped(line, console.width, indent)]
    for line in lines:
        console.print(line, soft_wrap=True)


def wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    """Break text into lines at spaces.

    Parameters
    ----------
    text
        One paragraph.
    width
        The maximal width of a line; a longer word has a line of its own.
    indent
        The number of spaces before each line except the first.

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
    """Print a table with every cell complete and on one line, on a terminal of any width.

    In files and pipes, and where it fits, the table is printed unchanged. On a terminal that is too narrow it has no
    frame, and its headings are wrapped. If it is still too wide, its columns are split among several tables, each of
    which begins with the key columns. If one of the other columns does not fit beside the key columns, the table is not
    split, and its lines are wider than the terminal.

    Parameters
    ----------
    console
        From `make_console`.
    table
        The table. Its columns, rows and sections are printed; options of columns other than `justify` are ignored.
    keys
        The number of key columns. These are the first columns, which identify a row and are repeated in each table.
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
    """The columns of each table into which a frameless table is split, as few as fit; one if a column does not fit."""
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
    """A table of some columns, whose cells are not wrapped; without a frame, headings are wrapped between words."""
    shown = (
        Table(title=table.title)
        if framed
        else Table(title=table.title, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    )
    cells = {index: [escaped(str(cell)) for cell in table.columns[index].cells] for index in columns}
    for index in columns:
        column = table.columns[index]
        heading = escaped(str(column.header)) if framed else _stacked(column)
        shown.add_column(heading, justify=column.justify, vertical="bottom", no_wrap=True)
    for place, row in enumerate(table.rows):
        shown.add_row(*(cells[index][place] for index in columns), end_section=row.end_section)
    return shown


def _stacked(column: Column) -> str:
    """A column's heading, wrapped between words to the width of its cells or of its longest word."""
    heading = escaped(str(column.header))
    texts = [*heading.split(), *(escaped(str(cell)) for cell in column.cells)]
    return "\n".join(wrapped(heading, max(map(cell_len, texts), default=1)))


def _width(console: Console, table: Table) -> int:
    """The width of a table if no cell is cut off or wrapped."""
    measured = with_widest_cells(table) if is_long(table) else table
    return Measurement.get(console, console.options.update(max_width=_WIDEST), measured).maximum


def _print(console: Console, table: Table) -> None:
    table.width = _width(console, table)
    if is_long(table):
        console.file.writelines(f"{line}\n" for line in long_lines(console, table))
    else:
        console.print(table, crop=False)
