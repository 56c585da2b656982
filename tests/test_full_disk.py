"""A full disk stops the command with status 1, and the same command goes on once there is space."""

from __future__ import annotations

import errno
import os

import pytest

import tickets
from tickets.store import verify


@pytest.mark.parametrize("call", [1, 4, 9, 14, 22, 30])
def test_a_full_disk_stops_the_command_and_more_space_lets_it_go_on(
    call, command, campaign_file, contents, tmp_path, monkeypatch
):
    file, out = campaign_file(tmp_path, rounds=1, rewind={"step": 5}), tmp_path / "out"
    real, calls = os.fsync, 0

    def fsync(descriptor):
        nonlocal calls
        calls += 1
        if calls >= call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fsync)
        said = command("run", file, "--out", out)
    assert said.code == 1
    (line,) = said.err.splitlines()
    assert line.startswith("error: no space left in ")
    assert "free some and run the same command to go on" in line
    assert not list(out.rglob(".tmp-*"))
    if list(out.glob("*/run.json")):
        assert verify(out) == []
    said = command("run", file, "--out", out)
    assert (said.code, said.err) == (0, "")
    tickets.run(file, out=tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


def test_a_log_that_cannot_be_written_for_lack_of_space(command, campaign_file, tmp_path, monkeypatch):
    def write(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("tickets.store.log.os.write", write)
        said = command("run", campaign_file(tmp_path), "--out", tmp_path / "out")
    assert said.code == 1
    assert "no space left" in said.err
    assert command("run", campaign_file(tmp_path), "--out", tmp_path / "out").code == 0
