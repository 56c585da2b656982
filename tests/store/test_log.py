from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from tickets.errors import DiskError, InputError
from tickets.store import append_event, read_events
from tickets.store.history import history
from tickets.store.log import LONGEST_LINE, MOST_LINES, read_lines


def test_an_event_is_one_line_with_the_time_in_utc(tmp_path):
    log = tmp_path / "log.jsonl"
    append_event(log, {"event": "round", "round": 3, "text": "é\n"})
    (line,) = log.read_bytes().splitlines()
    event = json.loads(line)
    assert list(event) == ["check", "time", "event", "round", "text"]
    assert event["text"] == "é\n"
    assert abs(datetime.now(UTC) - datetime.fromisoformat(event["time"])) < timedelta(minutes=1)
    assert datetime.fromisoformat(event["time"]).utcoffset() == timedelta(0)


def test_a_torn_line_is_skipped_and_spoils_no_other(tmp_path):
    log = tmp_path / "log.jsonl"
    append_event(log, {"event": "a"})
    with open(log, "ab") as file:
        file.write(b'{"event": "to')
    assert [event["event"] for event in read_events(log)] == ["a"]
    append_event(log, {"event": "b"})
    append_event(log, {"event": "c"})
    assert [event["event"] for event in read_events(log)] == ["a", "b", "c"]
    assert log.read_bytes().count(b"\n") == 4  # one of them ends the torn line


def test_an_event_is_a_single_write(tmp_path, failing):
    with failing(os, "write", 0, OSError()) as calls:
        append_event(tmp_path / "log.jsonl", {"event": "a"})
        (tmp_path / "log.jsonl").write_bytes(b"torn")
        append_event(tmp_path / "log.jsonl", {"event": "b"})
    assert calls == [2]


def test_a_log_that_is_not_there_is_empty_and_one_that_cannot_be_read_is_said(tmp_path):
    assert list(read_events(tmp_path / "log.jsonl")) == []
    with pytest.raises(InputError, match="is a folder, not a regular file"):
        list(read_events(tmp_path))


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", lambda descriptor, data: len(data) - 1)
    with pytest.raises(DiskError, match=r"no space left in .* to write log.jsonl"):
        append_event(tmp_path / "log.jsonl", {"event": "a"})


def test_changed_bits_of_a_log_are_found(tmp_path):
    log = tmp_path / "log.jsonl"
    for event in ({"event": "started", "cohort": 0}, {"event": "round", "cohort": 0, "round": 1, "part": 0}):
        append_event(log, event)
    with open(log, "ab") as file:
        file.write(log.read_bytes()[:30])  # left by a crash
    append_event(log, {"event": "failed", "why": "é"})
    data = log.read_bytes()
    assert [line.problem for line in read_lines(log)] == [None] * 4
    assert [line.event["event"] for line in read_lines(log) if line.event] == ["started", "round", "failed"]
    torn = data.index(data[:30], 1)
    for place in range(len(data)):
        if torn <= place < torn + 30:
            continue  # what a crash left says nothing
        for bit in range(8) if place < 60 else [place % 8]:  # each bit of a check value, then one of each byte
            log.write_bytes(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])
            assert any(line.problem for line in read_lines(log)), (place, bit)


def test_a_log_that_a_crash_cut_anywhere_has_no_problem(tmp_path):
    log = tmp_path / "log.jsonl"
    append_event(log, {"event": "started", "cohort": 0})
    append_event(log, {"event": "round", "cohort": 0, "round": 1, "part": 0})
    data = log.read_bytes()
    for size in range(len(data) + 1):
        log.write_bytes(data[:size])
        assert not [line for line in read_lines(log) if line.problem], size
        append_event(log, {"event": "resumed"})
        assert not [line for line in read_lines(log) if line.problem], size
        assert list(read_events(log))[-1]["event"] == "resumed"


def test_events_of_another_form_are_passed_over(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_bytes(b'{"time": "", "event": "round", "cohort": []}\n' + b"[" * 100_000 + b"\n5\n{}\n")
    assert list(read_events(log)) == [{}]


def test_the_rest_of_a_short_write_says_why_it_was_short(tmp_path, monkeypatch):
    real, calls = os.write, []

    def write(descriptor, data):
        calls.append(len(data))
        if len(calls) == 2:
            raise OSError(errno.EFBIG, "large")
        return real(descriptor, data[:5])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(DiskError, match=r"log\.jsonl: cannot be written .*ulimit -f"):
            append_event(tmp_path / "log.jsonl", {"event": "a"})
    append_event(tmp_path / "log.jsonl", {"event": "b"})
    assert [event["event"] for event in read_events(tmp_path / "log.jsonl")] == ["b"]


def test_a_log_is_synced_and_so_is_its_name(tmp_path, monkeypatch):
    synced, real = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd)))
    for _ in range(2):
        append_event(tmp_path / "log.jsonl", {"event": "a"})
    log = str(tmp_path / "log.jsonl")
    assert synced == [log, str(tmp_path), log]


def test_what_is_no_regular_file_is_neither_waited_for_nor_written_to(tmp_path):
    log = tmp_path / "log.jsonl"
    os.mkfifo(log)
    with pytest.raises(InputError, match=r"log\.jsonl: is a FIFO, not a regular file; move it away"):
        append_event(log, {"event": "a"})
    log.unlink()
    log.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DiskError, match=r"a link stands where a file or folder belongs"):
        append_event(log, {"event": "a"})
    log.unlink()
    log.mkdir()
    with pytest.raises(DiskError, match=r"a folder stands where a file belongs"):
        append_event(log, {"event": "a"})
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_a_run_that_was_removed_is_not_made_again(tmp_path):
    with pytest.raises(DiskError, match=r"log\.jsonl: .*; if it was moved or renamed, move it back"):
        append_event(tmp_path / "run" / "log.jsonl", {"event": "a"})
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_is_too_long_is_passed_over_and_the_next_is_read(tmp_path):
    log = tmp_path / "log.jsonl"
    append_event(log, {"event": "a", "why": "x" * (LONGEST_LINE - 200)})
    append_event(log, {"event": "b", "why": "x" * (2 * LONGEST_LINE)})
    append_event(log, {"event": "c"})
    lines = list(read_lines(log))
    assert [line.event and line.event["event"] for line in lines] == ["a", None, "c"]
    assert [line.problem for line in lines] == [None, "cannot be read", None]
    log.write_bytes(log.read_bytes() + b"x" * (2 * LONGEST_LINE))
    assert [line.problem for line in read_lines(log)][3:] == ["is not the beginning of a line"]


def test_rounds_whose_numbers_are_none_of_a_round_are_not_missed(tmp_path):
    for number in (-1, 2**31, 10**300, True):
        append_event(tmp_path / "log.jsonl", {"event": "round", "cohort": 0, "round": number, "part": 0})
        append_event(tmp_path / "log.jsonl", {"event": "round", "cohort": number, "round": 0, "part": 0})
    append_event(tmp_path / "log.jsonl", {"event": "round", "cohort": 0, "round": 1, "part": 0})
    assert list(history(tmp_path).lost) == [tmp_path / "cohort-000" / "round-001"]


def test_a_log_of_empty_lines_is_not_read_to_its_end(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n" * MOST_LINES)
    assert sum(1 for _ in read_lines(log)) == MOST_LINES
    log.write_bytes(b"\n" * (MOST_LINES + 1))
    with pytest.raises(InputError, match=r"has more than 100,000 lines, of a few bytes each; .* --repair"):
        list(read_events(log))
