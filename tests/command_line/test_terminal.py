"""Prose and tables at any width: nothing is cut or folded, prose wraps between words, files get whole lines."""

from __future__ import annotations

import io
import re
import sys

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from tickets.command_line.terminal import make_console, say, show_table, wrapped

HEADINGS = ["control", "density", "n", "points", "95 % interval", "p", "p adjusted", "the ticket is", "detectable"]
ROWS = [
    [arm, density, "7", "+12.31", "[+10.02, +14.60]", "0.0156", "0.0312", "better", "2.91"]
    for arm in ("reinit", "pruned_at_init_by_snip")
    for density in ("0.8003", "0.6405")
]
PROSE = "detectable: the smallest true difference that so many pairs would have shown, in 80 of 100 repeats"
PATH = "/a/path/that/is/longer/than/the/terminal/is/wide/in/columns/and/stays/in/one/piece/whatever/happens"
WIDTHS = [20, 40, 80, 100, 200]


def a_table(headings=HEADINGS, rows=ROWS):
    table = Table()
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def printed(width, show, terminal=True):
    """What `show` prints on a terminal so many columns wide, without styles."""
    file = io.StringIO()
    show(Console(file=file, width=width, force_terminal=terminal, highlight=False, markup=False))
    return re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())


def cells_of(line):
    """The cells of a line of a table, framed or not."""
    return [cell.strip() for cell in re.split(r"│|┃|  +", line) if cell.strip()]


@pytest.mark.parametrize("width", WIDTHS)
def test_every_cell_of_a_table_is_printed_whole_in_a_line_that_begins_with_the_keys(width):
    lines = [cells_of(line) for line in printed(width, lambda console: show_table(console, a_table(), 2)).splitlines()]
    for row in ROWS:
        found = [cells[2:] for cells in lines if cells[:2] == row[:2]]
        assert [cell for cells in found for cell in cells] == row[2:]  # each once, in order


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_no_line_is_longer_than_the_terminal_where_the_keys_and_a_column_fit(width):
    rows = [["reinit", *row[1:]] for row in ROWS]
    text = printed(width, lambda console: show_table(console, a_table(rows=rows), 2))
    assert max(map(cell_len, text.splitlines())) <= width


def test_many_arms_are_several_tables_with_the_density_in_each():
    arms = [f"arm_{number}" for number in range(12)]
    rows = [["0.2105", *(f"{number}.50 ± 0.12" for number in range(12))]]
    text = printed(80, lambda console: show_table(console, a_table(["density", *arms], rows)))
    assert max(map(cell_len, text.splitlines())) <= 80
    blocks = [[cells_of(line) for line in block.splitlines()] for block in text.split("\n\n")]
    assert [block[0][0] for block in blocks] == ["density"] * len(blocks)
    assert [arm for block in blocks for arm in block[0][1:]] == arms
    assert [cell for block in blocks for cell in block[2][1:]] == rows[0][1:]
    assert len(blocks) > 1


def test_where_the_keys_leave_no_room_it_stays_one_table():
    rows = [["a-run-with-a-long-name", "done", "5/5"]]
    text = printed(26, lambda console: show_table(console, a_table(["run", "state", "rounds"], rows)))
    assert [cells_of(line) for line in text.splitlines()][2] == rows[0]


def test_a_table_that_fits_keeps_its_frame_and_one_that_nearly_fits_stays_one():
    fits = printed(200, lambda console: show_table(console, a_table(), 2))
    width = cell_len(fits.splitlines()[0])
    assert "│" in fits
    assert printed(width, lambda console: show_table(console, a_table(), 2)) == fits
    narrower = printed(width - 1, lambda console: show_table(console, a_table(), 2))
    assert "│" not in narrower
    assert "\n\n" not in narrower


def test_sections_and_alignment_stay():
    table = a_table(["arm", "n"], [["a", "1"], ["b", "200"]])
    table.rows[0].end_section = True
    framed = printed(80, lambda console: show_table(console, table)).splitlines()
    assert [line[0] for line in framed] == ["┏", "┃", "┡", "│", "├", "│", "└"]
    assert printed(4, lambda console: show_table(console, table)).splitlines()[2:] == [
        "  a    1",
        "        ",
        "  b  200",
    ]


def test_a_table_without_rows_or_headings_is_no_error():
    assert "run" in printed(10, lambda console: show_table(console, a_table(["run", "state"], [])))
    assert printed(1, lambda console: show_table(console, a_table([""], [])))


def test_elsewhere_than_on_a_terminal_a_table_is_whole_and_prose_one_line(capsys):
    long = [[f"{'0123456789' * 40}", "end"]]
    console = make_console()
    show_table(console, a_table(["run", "state"], long))
    say(console, f"{PROSE} {PROSE} {PATH}")
    console.print("as rich prints it " * 20)
    out = capsys.readouterr().out
    assert long[0][0] in out
    assert f"{PROSE} {PROSE} {PATH}\n" in out
    assert "as rich prints it " * 20 in out
    assert "\x1b" not in out


@pytest.mark.parametrize("width", WIDTHS)
def test_prose_wraps_between_words_only(width):
    text = f"{PROSE}\nsecond paragraph: {PATH} [Errno 5] {PROSE}"
    lines = printed(width, lambda console: [say(console, part) for part in text.splitlines()]).splitlines()
    assert " ".join(lines).split() == text.split()
    assert all(cell_len(line) <= width or " " not in line for line in lines)
    assert any(line.startswith("second") for line in lines)


def test_lines_are_as_full_as_can_be():
    assert wrapped("aa bb ccc d", 5) == ["aa bb", "ccc d"]
    assert wrapped("aa  bb", 6) == ["aa  bb"]  # two spaces stay two
    assert wrapped("aaaaaaaa b", 5) == ["aaaaaaaa", "b"]
    assert wrapped("", 5) == [""]
    assert wrapped("name  one two three", 13, indent=6) == ["name  one two", "      three"]
    assert wrapped("重み 重み", 6) == ["重み", "重み"]  # two columns a letter


def test_the_console_is_as_wide_as_the_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "72")
    monkeypatch.setenv("TERM", "xterm")
    assert (make_console().width, make_console().is_terminal) == (72, True)
    # Colours that a continuous-integration service forces make no terminal of a file.
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not make_console().is_terminal
