"""Control characters in text of other people never reach the terminal."""

from __future__ import annotations

import errno
import io
import json
import re

import pytest
from rich.console import Console
from rich.table import Table

import tickets
from tickets.command_line.printing import escaped, print_json, print_line
from tickets.command_line.progress import line
from tickets.command_line.terminal import say, show_table
from tickets.errors import DiskError, InputError
from tickets.listener import Note

EVIL = "a\x1b]0;title\x07b\x1b[2Jc\x9b1md\u202ee\nerror: made up\r\t\x7f\x00\u2028\udc80:bomb:[red]"
SHOWN = r"a\x1b]0;title\x07b\x1b[2Jc\x9b1md\u202ee\nerror: made up\r\t\x7f\x00\u2028\udc80:bomb:[red]"
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u202a-\u202e\u2066-\u2069\udc80]")


def test_each_kind_is_written_as_python_writes_it() -> None:
    assert escaped(EVIL) == SHOWN
    assert escaped("plain ± 模型 é") == "plain ± 模型 é"
    assert escaped("a\nb\x1b", keep="\n") == "a\nb\\x1b"


def test_every_control_character() -> None:
    for number in (*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xD800, 0xDFFF):
        assert escaped(chr(number)).startswith("\\"), hex(number)
    assert escaped("".join(map(chr, range(32, 127)))) == "".join(map(chr, range(32, 127)))


def test_a_line_is_one_line_of_bounded_length(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(EVIL)
    print_line("x" * 20_000, error=True)
    printed = capsys.readouterr()
    assert printed.out == f"{SHOWN}\n"
    assert printed.err == "x" * 10_000 + "... (20,000 characters)\n"


def test_json_is_ascii_and_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({EVIL: [EVIL]})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {EVIL: [EVIL]}
    assert not RAW.search(printed)


@pytest.mark.parametrize("terminal", [True, False])
def test_prose_and_tables(terminal: bool) -> None:
    for width in (20, 500):
        file = io.StringIO()
        console = Console(file=file, force_terminal=terminal, color_system=None, width=width, markup=False, emoji=False)
        say(console, EVIL)
        table = Table()
        for heading in (EVIL, "other"):
            table.add_column(heading)
        table.add_row(EVIL, EVIL)
        show_table(console, table)
        styles = re.sub(r"\x1b\[\d*m", "", file.getvalue())  # rich's own, of headings
        assert not RAW.search(styles)
        assert "error: made up" not in [piece.strip() for piece in styles.split("\n")]


def test_a_note_on_its_way_to_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    from tickets.command_line.progress import Lines

    Lines()(Note(EVIL))
    assert capsys.readouterr().out.endswith(f" {SHOWN}\n")
    assert line(Note(EVIL)) == EVIL


def raising(error):
    def refuse(*arguments, **named):
        raise error

    return refuse


MEND = "; check the file, its disk and its permissions, and run the same command again"
MANY = [str(number) for number in range(300)]
RENAMED = FileNotFoundError(errno.ENOENT, "No such file or directory", "a", None, "b")


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (InputError([f"{EVIL}: wrong", "b"]), 2, [f"error: {SHOWN}: wrong", "error: b"]),
        (DiskError(EVIL), 1, [f"error: {SHOWN}"]),
        (InputError(MANY), 2, [f"error: {line}" for line in (*MANY[:200], "and 100 more like these")]),
        (OSError(errno.EIO, "Input/output error", f"/x/{EVIL}"), 1, [f"error: /x/{SHOWN}: Input/output error{MEND}"]),
        (OSError(errno.EMFILE, "Too many open files"), 1, [f"error: Too many open files{MEND}"]),
        (RENAMED, 1, [f"error: a -> b: No such file or directory{MEND}"]),
    ],
    ids=["input", "disk", "many", "EIO", "EMFILE", "rename"],
)  # fmt: skip
def test_errors_that_reach_main(command, monkeypatch, error, code, lines):
    monkeypatch.setattr("tickets.store.status", raising(error))
    said = command("status", "anywhere")
    assert (said.code, said.out, said.err.splitlines()) == (code, "", lines)


def test_a_fault_of_this_package_keeps_its_traceback(command, monkeypatch):
    monkeypatch.setattr("tickets.store.status", raising(KeyError("gone\x1b]0;x\x07")))
    said = command("status", "anywhere")
    assert said.code == 1
    assert said.err.startswith("Traceback (most recent call last):\n")
    assert said.err.endswith("KeyError: 'gone\\x1b]0;x\\x07'\n")


def test_folders_and_files_with_such_names(command, campaign_file, tmp_path):
    """A campaign's folder, a file that `verify` finds, a run's folder and a campaign file."""
    out = tmp_path / "out\x1b[2J"
    tickets.run(campaign_file(tmp_path, rounds=0), out=out)
    (run,) = (path for path in out.iterdir() if path.is_dir())
    (run / "cohort-000" / "round-000" / "extra\x1b]0;x\x07\nerror: made up").touch()
    for name in ("status", "verify", "compare", "claims"):
        said = command(name, out)
        assert not RAW.search(said.out + said.err)
        assert "\nerror: made up" not in said.out + said.err
    run.rename(run.with_name("run\x1b]0;x\x07"))
    for name in ("status", "verify"):
        said = command(name, out)
        assert not RAW.search(said.out + said.err)
    said = command("run", tmp_path / "no\x1b[2J.toml")
    assert (said.code, "no\\x1b[2J.toml: no such file" in said.err) == (2, True)


RAISES = """
def net(input_shape):
    raise RuntimeError("said\\x1b]0;x\\x07\\nerror: made up\\x9b")
"""


def test_what_the_users_code_raises(command, campaign_file, module, tmp_path):
    file = campaign_file(tmp_path, model=f"{module('raising', RAISES)}:net")
    said = command("run", file, "--out", tmp_path / "out")
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert "RuntimeError: said" in said.err
    assert not RAW.search(said.err)


def test_a_report_folder_with_a_name_that_is_too_long(command, campaign_file, tmp_path):
    tickets.run(campaign_file(tmp_path, rounds=0), out=tmp_path / "out")
    said = command("report", tmp_path / "out", "--out", tmp_path / ("x" * 300), "--only", "accuracy")
    assert said.code in (1, 2)
    assert len(said.err.splitlines()) == 1
    assert "File name too long" in said.err
