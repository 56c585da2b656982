"""Lay out tables of thousands of rows, which takes rich milliseconds a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import Box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table

LONG = 200  # rows; shorter tables are laid out by rich alone


def is_long(table: Table) -> bool:
    """Whether a table is long, and plain enough for `long_lines`: each cell is one line of text."""
    if table.row_count <= LONG or any(row.end_section for row in table.rows):
        return False
    if any(column.justify not in ("left", "right") for column in table.columns):
        return False
    return all(isinstance(cell, str) and cell.isprintable() for column in table.columns for cell in column.cells)


def with_widest_cells(table: Table) -> Table:
    """The table with a single row, of the widest cell of each column, and so with the same widths."""
    short = Table(
        title=table.title,
        box=table.box,
        show_edge=table.show_edge,
        pad_edge=table.pad_edge,
        padding=table.padding,
        width=table.width,
    )
    for column in table.columns:
        short.add_column(column.header, justify=column.justify, vertical=column.vertical, no_wrap=column.no_wrap)
    short.add_row(*(max(column.cells, key=lambda cell: cell_len(str(cell))) for column in table.columns))
    return short


def long_lines(console: Console, table: Table) -> Iterator[str]:
    """The lines of a long table, as rich lays it out: the heading and the frame by rich itself.

    Parameters
    ----------
    console
        The console on which the table is to be printed.
    table
        The table, with its `width` set to what its cells need.
    """
    with console.capture() as captured:
        console.print(with_widest_cells(table), crop=False)
    lines = captured.get().splitlines()
    below = 1 if table.show_edge else 0  # beside the frame's last line, the only row is the last line
    yield from lines[: len(lines) - 1 - below]
    yield from _rows(table, _box(console, table))
    yield from lines[len(lines) - below :]


def _box(console: Console, table: Table) -> Box:
    """The characters of a table's frame that the console can print."""
    assert table.box is not None
    return table.box.substitute(console.options, safe=console.safe_box)


def _rows(table: Table, box: Box) -> Iterator[str]:
    left, right = (box.mid_left, box.mid_right) if table.show_edge else ("", "")
    _, after, _, before = table.padding
    last = len(table.columns) - 1
    columns = []
    for place, column in enumerate(table.columns):
        cells = list(map(str, column.cells))
        width = max(map(cell_len, [*str(column.header).split("\n"), *cells]))
        first_pad = " " * (before if place or table.pad_edge else 0)
        last_pad = " " * (after if place < last or table.pad_edge else 0)
        columns.append([f"{first_pad}{text}{last_pad}" for text in _justified(column, cells, width)])
    for row in zip(*columns, strict=True):
        yield f"{left}{box.mid_vertical.join(row)}{right}"


def _justified(column: Column, cells: Sequence[str], width: int) -> Iterator[str]:
    for cell in cells:
        space = " " * (width - cell_len(cell))
        yield space + cell if column.justify == "right" else cell + space
