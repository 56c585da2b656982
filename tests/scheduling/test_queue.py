"""What squeue and sacct say becomes the state of each element; whatever they say, the answer is a clear one."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tickets.errors import InputError
from tickets.scheduling import programs
from tickets.scheduling.element import Element, reason_of
from tickets.scheduling.listing import in_queue
from tickets.scheduling.queue import elements, last_lines, live_elements
from tickets.scheduling.submissions import submissions

QUEUE = """\
101_0|RUNNING|2026-11-28T03:10:00|2026-11-28T03:00:00|49:30|n1|None
101_[2-4,7%2]|PENDING|N/A|2026-11-28T03:00:00|1:00:00||Resources
101_5|PENDING|2026-11-28T04:00:00|2026-11-28T03:30:00|1:00:00||BeginTime
101_6|COMPLETING|2026-11-28T03:10:00|2026-11-28T03:00:00|1-00:00:00|n2|None
"""
ACCOUNTS = """\
101_1|COMPLETED|0:0|2026-11-28T03:01:00|n1|None
101_[2-4,7%2]|PENDING|0:0|Unknown|None assigned|Resources
102_0|FAILED|2:0|2026-11-28T03:01:00|n1|NonZeroExitCode
102_1|CANCELLED by 1000|0:15|2026-11-28T03:01:00|n1|None
102_2|TIMEOUT|0:0|2026-11-28T03:01:00|n1|None
102_3|NODE_FAIL|1:0|2026-11-28T03:01:00|n3|None
102_4|OUT_OF_MEMORY|0:125|2026-11-28T03:01:00|n1|OutOfMemory
102_5|FAILED|0:9|2026-11-28T03:01:00|n1|None
102_6|PREEMPTED|0:0|2026-11-28T03:01:00|n1|None
102_7|RUNNING|0:0|2026-11-28T03:01:00|n1|None
102_9|FAILED|0:53|2026-11-28T03:01:00|n1|None
"""


def states(folder):
    return {one.id: (one.state, one.why) for one in elements(folder)}


def test_each_state(slurm, submitted, tmp_path):
    submitted(tmp_path, "101", 8)
    submitted(tmp_path, "102", 10)
    (tmp_path / "jobs" / "101_5.out").write_text("has run before\n")
    slurm.says("squeue", QUEUE)
    slurm.says("sacct", ACCOUNTS)
    found = elements(tmp_path)
    assert [one.id for one in found] == [
        *(f"101_{index}" for index in range(8)),
        *(f"102_{index}" for index in range(10)),
    ]
    assert found[0] == Element("101_0", "running", "", "n1", "2026-11-28T03:10:00", "49:30")
    assert found[2] == Element("101_2", "queued", "waits for free resources", "", "2026-11-28T03:00:00", "")
    waits = ("queued", "waits for free resources")
    assert states(tmp_path) == {
        "101_0": ("running", ""),
        "101_1": ("done", ""),
        "101_2": waits,
        "101_3": waits,
        "101_4": waits,
        "101_5": ("requeued", "waits for a while before it starts again"),
        "101_6": ("running", "it is ending"),
        "101_7": waits,
        "102_0": ("failed", "exit status 2: the input is wrong"),
        "102_1": ("cancelled", ""),
        "102_2": ("timeout", "its time limit was reached"),
        "102_3": ("failed", "its node failed, exit status 1: a run failed"),
        "102_4": ("failed", "it took more memory than it asked for ([submit] memory)"),
        "102_5": ("failed", "ended by signal 9 (SIGKILL)"),
        "102_6": ("preempted", "others with a higher priority took its place"),
        "102_7": ("unknown", "the accounting says running, and the queue does not have it"),
        "102_8": ("unknown", "the queue and the accounting have it no longer"),
        "102_9": ("failed", "its output file could not be opened: is jobs/ there on its node?"),
    }
    assert slurm.calls("squeue")[0] == "squeue -h -r -t all -j 101,102 -o %i|%T|%S|%V|%L|%N|%r"
    assert slurm.calls("sacct")[0] == "sacct -n -P -X -j 101,102 -o JobID,State,ExitCode,Start,NodeList,Reason"


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("(Resources)", "waits for free resources"),
        ("None", ""),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-3]", "the nodes that it needs are not available"),
        ("launch failed requeued held", "held: it could not be started (scontrol release starts it again)"),
        (
            "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions",
            "its nodes are down, drained or reserved for others",
        ),
        ("QOSMaxJobsPerUserLimit", "waits: a limit of the QOS is reached (QOSMaxJobsPerUserLimit)"),
        ("AssocGrpCpuLimit", "waits: a limit of the account is reached (AssocGrpCpuLimit)"),
        ("Something new \x1b[2J", "Something new [2J"),
    ],
)
def test_reasons_in_plain_words(reason, why):
    assert reason_of(reason) == why


def test_without_submissions_nothing_is_asked(slurm, tmp_path):
    assert elements(tmp_path) == []
    assert slurm.calls() == []


def test_while_all_wait_the_accounting_is_not_asked(slurm, submitted, tmp_path):
    submitted(tmp_path, "101", 1)
    slurm.says("squeue", "101_0|PENDING|N/A|N/A|1:00||Priority\n")
    assert states(tmp_path) == {"101_0": ("queued", "waits behind jobs with a higher priority")}
    assert slurm.calls("sacct") == []


def test_a_cluster_among_several_is_named(slurm, submitted, tmp_path):
    submitted(tmp_path, "7", 1, cluster="east")
    submitted(tmp_path, "7", 1, cluster="west")
    elements(tmp_path)
    assert [call.split(" -h")[0] for call in slurm.calls("squeue")] == ["squeue -M east", "squeue -M west"]


def test_without_accounting_what_has_ended_is_unknown(slurm, submitted, tmp_path):
    submitted(tmp_path, "101", 1)
    slurm.fails("squeue", "slurm_load_jobs error: Invalid job id specified\n")
    slurm.fails("sacct", "Slurm accounting storage is disabled\n")
    ((state, why),) = states(tmp_path).values()
    assert state == "unknown"
    assert why.endswith("ended with status 1: Slurm accounting storage is disabled")


def test_jobs_that_the_queue_has_forgotten_do_not_run(slurm, submitted, tmp_path):
    submitted(tmp_path, "101", 1)
    slurm.fails("squeue", "slurm_load_jobs error: Invalid job id specified\n")
    assert live_elements(tmp_path) == []
    slurm.fails("squeue", "slurm_load_jobs error: Unable to contact slurm controller\n")
    with pytest.raises(programs.ProgramError, match="Unable to contact"):
        live_elements(tmp_path)


def test_no_more_elements_than_were_submitted(slurm, submitted, tmp_path):
    submitted(tmp_path, "101", 2)
    slurm.says("squeue", "101_[0-9999999]|PENDING|N/A|N/A|1:00||None\n101_2|RUNNING|N/A|N/A|1:00||None\n")
    assert list(in_queue(submissions(tmp_path))) == [("", "101_0"), ("", "101_1")]


def test_what_has_just_ended_is_known_by_the_queue(slurm, submitted, tmp_path):
    submitted(tmp_path, "101", 2)
    slurm.says("squeue", "101_0|FAILED|N/A|N/A|0:00|n1|NonZeroExitCode\n101_1|COMPLETED|N/A|N/A|0:00|n1|None\n")
    slurm.fails("sacct", "Slurm accounting storage is disabled\n")
    assert states(tmp_path) == {"101_0": ("failed", ""), "101_1": ("done", "")}


@pytest.mark.parametrize("how", ["hangs", "fails", "lacks"])
def test_squeue_that_does_not_answer(how, slurm, submitted, tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "DEADLINE", 0.3)
    submitted(tmp_path, "101", 2)
    slurm.says("sacct", "101_0|COMPLETED|0:0|2026-11-28T03:01:00|n1|None\n101_1|RUNNING|0:0|Unknown|n1|None\n")
    getattr(slurm, how)("squeue", *(["connection refused\n"] if how == "fails" else []))
    began = time.monotonic()
    found = states(tmp_path)
    assert time.monotonic() - began < 10
    assert found["101_0"] == ("done", "")
    state, why = found["101_1"]
    assert state == "unknown"
    assert {
        "hangs": "did not end within 0.3 s; is the scheduler up?",
        "fails": "ended with status 1: connection refused",
        "lacks": "squeue: there is no such program on PATH",
    }[how] in why


def test_no_end_of_output_is_an_error(slurm, monkeypatch):
    monkeypatch.setattr(programs, "LARGEST", 1000)
    slurm.says("squeue", "x" * 2000)
    with pytest.raises(programs.ProgramError, match="squeue: printed more than 1,000 bytes"):
        programs.call("squeue")


def test_an_error_says_what_was_run_and_the_first_lines(slurm):
    slurm.fails("squeue", "one\n\n  two \x1b[31m\nthree\nfour\n")
    with pytest.raises(programs.ProgramError) as caught:
        programs.call("squeue", "-j", "a b")
    assert str(caught.value) == "squeue -j 'a b': ended with status 1: one / two \\x1b[31m / three"


def test_variables_that_hide_jobs_are_not_passed_on(tmp_path, monkeypatch):
    program = tmp_path / "printed"
    program.write_text("#!/bin/sh\n/usr/bin/env\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    for name in ("SQUEUE_STATES", "SACCT_FORMAT", "SLURM_JOB_ID", "SBATCH_WAIT"):
        monkeypatch.setenv(name, "R")
    monkeypatch.setenv("SBATCH_ACCOUNT", "mine")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    seen = dict(line.split("=", 1) for line in programs.call("printed").splitlines())
    assert seen["LC_ALL"] == "C"
    assert (seen["SBATCH_ACCOUNT"], seen["SLURM_CONF"]) == ("mine", "/etc/slurm.conf")
    assert not {"SQUEUE_STATES", "SACCT_FORMAT", "SLURM_JOB_ID", "SBATCH_WAIT"} & set(seen)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    some.one_of(
        some.binary(max_size=300),
        some.lists(
            some.sampled_from(["101_0", "101_[0-9999999]", "101_[3-1:0]", "|", "\x1b[2J", "RUNNING", "\n", "%", "-1"])
        ).map(lambda parts: "".join(parts).encode()),
    )
)
def test_garbage_is_no_error_and_reaches_no_terminal(slurm, submitted, tmp_path, garbage):
    if not (tmp_path / "jobs").exists():
        submitted(tmp_path, "101", 2)
    slurm.says("squeue", garbage)
    slurm.says("sacct", garbage)
    found = elements(tmp_path)
    assert [one.id for one in found] == ["101_0", "101_1"]
    assert all("".join((one.why, one.node, one.since, one.left)).isprintable() for one in found)


@pytest.mark.parametrize(
    "line",
    [
        {"job": "1; rm -rf ~"}, {"job": 101}, {"job": "-1"}, {"cluster": "-M x"}, {"cluster": None}, {"elements": 0},
        {"elements": 10**9}, {"elements": True}, {"campaign": 3}, {"scheduler": "else"}, {"event": "other"},
    ],
)  # fmt: skip
def test_a_forged_record_is_passed_over(line, slurm, tmp_path):
    from tickets.store import append_event

    (tmp_path / "jobs").mkdir()
    good = {
        "event": "submitted",
        "scheduler": "slurm",
        "job": "101",
        "cluster": "",
        "elements": 1,
        "campaign": "a.toml",
    }
    append_event(tmp_path / "jobs" / "jobs.jsonl", {**good, "job": "100"})
    append_event(tmp_path / "jobs" / "jobs.jsonl", {**good, **line})
    assert [one.id for one in elements(tmp_path)] == ["100_0"]


def test_a_record_that_is_no_file_is_wrong_input(slurm, tmp_path):
    (tmp_path / "jobs" / "jobs.jsonl").mkdir(parents=True)
    with pytest.raises(InputError, match="not a regular file"):
        elements(tmp_path)


def test_last_lines(tmp_path):
    folder = tmp_path / "jobs"
    folder.mkdir()
    (folder / "101_4.out").write_bytes(
        b"long ago\n" * 20_000 + b"one\n\ntwo \x1b[31mred\xff\n" + b"x" * 1000 + b"\nlast"
    )
    one = Element("101_4", "failed")
    assert last_lines(tmp_path, one, 4) == ["one", "two \\x1b[31mred\\xff", "x" * 300 + "...", "last"]
    assert last_lines(tmp_path, Element("101_5", "failed")) == []
    assert last_lines(tmp_path, Element("../secret", "failed")) == []
    (folder / "101_6.out").symlink_to(folder / "101_4.out")
    assert last_lines(tmp_path, Element("101_6", "failed")) == []
