"""Long tables are laid out without rich, and look as if rich had laid them out."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from tickets.command_line import long_tables
from tickets.command_line.terminal import show_table

NAMES = ["digits-mlp-adam-0.01-seed0", "b", "größer 模型", "c" * 30]


class Ascii(io.StringIO):
    encoding = "ascii"


def a_table(rows=50, justify="right", last="3"):
    table = Table(title="runs")
    table.add_column("run", justify="left")
    table.add_column("trainings that are done", justify=justify)
    table.add_column("n", justify="right")
    for number in range(rows):
        table.add_row(NAMES[number % 4], f"{number * 997}/{number}", last if number == rows - 1 else "1,000")
    return table


def printed(table, width, terminal, file=io.StringIO):
    console = Console(file=file(), width=width, force_terminal=terminal, highlight=False, markup=False)
    show_table(console, table)
    return console.file.getvalue()


@pytest.mark.parametrize("file", [io.StringIO, Ascii])
@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", [20, 40, 62, 64, 80, 200])
def test_a_long_table_is_character_for_character_that_of_rich(width, terminal, file, monkeypatch):
    by_rich = printed(a_table(), width, terminal, file)
    monkeypatch.setattr(long_tables, "LONG", 10)
    assert long_tables.is_long(a_table())
    assert printed(a_table(), width, terminal, file) == by_rich


@pytest.mark.parametrize("table", [a_table(justify="center"), a_table(last="two\nlines"), a_table(rows=10)])
def test_other_tables_are_left_to_rich(table, monkeypatch):
    monkeypatch.setattr(long_tables, "LONG", 10)
    assert not long_tables.is_long(table)


def test_sections_are_left_to_rich(monkeypatch):
    monkeypatch.setattr(long_tables, "LONG", 10)
    table = a_table()
    table.add_section()
    assert not long_tables.is_long(table)
