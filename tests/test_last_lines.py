"""What another process writes to its standard error: passed on whole, and the end of it kept."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from tickets.last_lines import LastLines, place_of_crash


def run(source):
    """(the last lines of a process, all that it wrote)."""
    found = LastLines()
    with found.of_processes_started():
        process = subprocess.Popen([sys.executable, "-S", "-c", source])
    process.wait()
    found.finish(10)
    return found.lines()


def test_what_a_process_writes_is_passed_on_and_its_last_lines_are_kept(capfd):
    lines = run("import sys; sys.stderr.write(''.join(f'line {n}\\n\\n' for n in range(50_000)))")
    assert lines == [f"line {n}" for n in range(49_980, 50_000)]
    assert capfd.readouterr().err == "".join(f"line {n}\n\n" for n in range(50_000))
    os.write(2, b"standard error is what it was")
    assert capfd.readouterr().err == "standard error is what it was"


def test_lines_are_short_and_printable():
    lines = run("import os; os.write(2, b'\\x1b[31mred\\x1b[0m\\rbar 1\\rbar 2\\n\\xff\\x9b' + b'x' * 1000)")
    assert lines == ["\\x1b[31mred\\x1b[0m", "bar 1", "bar 2", "\\xff\\x9b" + "x" * 492]


def test_a_crash_is_kept_from_its_beginning_and_its_place_is_the_users_line():
    deep = "import faulthandler, os\nfaulthandler.enable()\ndef f(n): f(n - 1) if n else os.abort()\nf(60)"
    lines = run(deep)
    assert lines[0] == "Fatal Python error: Aborted"
    assert len(lines) == 20
    assert place_of_crash(lines) is None  # of a string, no file
    at = 'in forward\n  File "/home/me/nets.py", line 12 in forward'
    shown = [lines[0], f'  File "{os.__file__}", line 3 in fspath', *at.splitlines()[1:]]
    assert place_of_crash(shown) == "/home/me/nets.py:12, in forward"
    assert place_of_crash(shown[1:]) is None


def test_without_a_standard_error_nothing_is_kept():
    source = (
        "import os, subprocess, sys\n"
        "from tickets.last_lines import LastLines\n"
        "os.close(2)\n"
        "found = LastLines()\n"
        "with found.of_processes_started():\n"
        "    subprocess.run([sys.executable, '-S', '-c', 'print(1)'])\n"
        "found.finish(1)\n"
        "print(found.lines())\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n[]\n"


def test_a_start_that_fails_leaves_standard_error_as_it_was(capfd):
    found = LastLines()
    with pytest.raises(FileNotFoundError), found.of_processes_started():
        subprocess.Popen(["/nowhere/python"])
    found.finish(10)
    os.write(2, b"as before")
    assert capfd.readouterr().err == "as before"


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are counted in /proc")
@pytest.mark.parametrize("what", ["a thread", "a pipe"])
def test_where_the_system_gives_no_more_no_file_and_no_process_is_left(what, capfd, monkeypatch):
    def no_thread(self):
        raise RuntimeError("can't start new thread")

    def no_pipe():
        raise OSError(errno.EMFILE, "Too many open files")

    started, before = [], set(os.listdir("/proc/self/fd"))
    found = LastLines()
    with monkeypatch.context() as patch:
        if what == "a thread":
            patch.setattr("threading.Thread.start", no_thread)
        else:
            patch.setattr("os.pipe", no_pipe)
        with pytest.raises(OSError, match=r"can't start new thread|Too many open files"), found.of_processes_started():
            started.append(True)
    assert started == ([True] if what == "a thread" else [])
    assert set(os.listdir("/proc/self/fd")) == before
    os.write(2, b"as before")
    assert capfd.readouterr().err == "as before"
