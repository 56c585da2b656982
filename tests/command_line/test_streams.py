"""Closed standard streams, and readers that end before the command does: it goes on to its end without a word."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tickets.command_line.streams import Lasting, discard
from tickets.store import status

TICKETS = f"'{sys.executable}' -m tickets"


def shell(line):
    """A line of shell: its status, and what came on standard error."""
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_what_is_written_after_the_reader_ended_is_dropped():
    reader, writer = os.pipe()
    stream = Lasting(writer)
    assert stream.write(b"heard") == 5
    assert os.read(reader, 5) == b"heard"
    os.close(reader)
    assert [stream.write(b"unheard"), stream.write(b"dropped")] == [7, 7]
    assert stream.failure is None
    assert stream.writable()
    os.close(writer)


def test_a_terminal_that_is_gone_is_nobody_and_a_full_disk_is_a_failure():
    ours, theirs = pty.openpty()
    stream = Lasting(theirs)
    assert stream.isatty()
    os.close(ours)
    assert stream.write(b"unheard") == 7
    assert stream.failure is None
    os.close(theirs)
    full = os.open("/dev/full", os.O_WRONLY)
    stream = Lasting(full)
    assert (stream.write(b"lost"), stream.write(b"dropped")) == (4, 7)
    assert "No space left" in str(stream.failure)
    os.close(full)


def test_a_pipe_that_is_full_and_does_not_wait_is_waited_for():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    stream = Lasting(writer)
    size = 2**20
    read = []

    def empty():
        while sum(read) < size:
            read.append(len(os.read(reader, 2**16)))

    thread = threading.Thread(target=empty)
    written = stream.write(bytes(size))
    thread.start()
    while written < size:
        written += stream.write(bytes(size - written))
    thread.join()
    assert sum(read) == size
    assert stream.failure is None
    os.close(reader)
    os.close(writer)


def test_a_closed_descriptor_that_is_discarded_leads_nowhere_in_other_processes_too():
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.close(descriptor)
    discard(descriptor)
    assert os.get_inheritable(descriptor)
    assert os.write(descriptor, b"unheard") == 7
    os.close(descriptor)


@pytest.fixture(scope="module")
def saved(campaign_file, tmp_path_factory):
    """A campaign that was trained while nobody listened from the second line on."""
    folder = tmp_path_factory.mktemp("streams")
    file, out = campaign_file(folder), folder / "out"
    done = shell(f"({TICKETS} run '{file}' --out '{out}'; echo status $? >&2) | head -1 >&2")
    assert done[0] == 0
    first, last = done[1].splitlines()
    assert "prunable: all" in first
    assert last == "status 0"
    return out


def test_training_goes_on_where_the_reader_has_ended(saved):
    assert [one.state for one in status(saved)] == ["done"]


# That a closed standard output alone is no trouble, `compare` shows below.
@pytest.mark.parametrize("closed", [pytest.param(">&-", marks=pytest.mark.torture), "<&- >&- 2>&-"])
def test_training_with_closed_streams(saved, closed, campaign_file, tmp_path):
    file, out = campaign_file(tmp_path, rounds=0), tmp_path / "out"
    assert shell(f"{TICKETS} run '{file}' --out '{out}' {closed}") == (0, "")
    assert [one.state for one in status(out)] == ["done"]
    assert not any(path.read_bytes().startswith(b"20") for path in out.rglob("*") if path.is_file())


@pytest.mark.parametrize(("command", "closed"), [("status", "| true"), ("compare", ">&-"), ("verify", "2>&- >&-")])
def test_reading_commands_with_closed_streams(saved, command, closed):
    assert shell(f"{TICKETS} {command} '{saved}' {closed}") == (0, "")


def test_what_cannot_be_written_is_said(saved):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    code, said = shell(f"{TICKETS} status '{saved}' > /dev/full")
    assert (code, said) == (1, "error: part of the output could not be written (No space left on device)\n")


def test_an_error_keeps_its_status_where_nobody_hears_it(saved):
    assert shell(f"{TICKETS} status '{saved}/nowhere' 2>&-") == (2, "")
    assert shell(f"{TICKETS} status '{saved}/nowhere' >&-")[0] == 2
