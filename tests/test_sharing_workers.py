"""`tickets run --worker`: processes that share the cohorts of a campaign, and end when a scheduler asks them to."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections import Counter

import pytest

import tickets
from tickets.command_line.running import AGAIN
from tickets.meter import Meter
from tickets.store import holder_of, read_events, run_folders, take
from tickets.store.holder import Holder, Progress, encode, lease_file
from tickets.store.processes import job
from tickets.termination import Terminated, ended_after, terminable

SHARED = {"replicates": 2, "cohort_size": 1, "rounds": 1, "arms": ["ticket", "reinit"]}
LONG = {"replicates": 1, "rounds": 0, "arms": ["ticket"], "train": {"steps": 20_000, "evaluate_every": 20_000}}
SCHEDULERS = ["SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "LSB_JOBINDEX"]
SCHEDULERS += ["HQ_JOB_ID", "HQ_TASK_ID", "OAR_JOB_ID", "JOB_ID", "SGE_TASK_ID"]


@pytest.fixture(autouse=True)
def no_scheduler(monkeypatch):
    for name in SCHEDULERS:
        monkeypatch.delenv(name, raising=False)


def unsigned(contents):
    """The contents of a campaign's folder without who trained them."""
    for content in contents.values():
        if isinstance(content, dict):
            content.pop("worker", None)
    return contents


def lease_of(**changes):
    """A lease file of a process like this one, but for the changes."""
    return json.dumps({**json.loads(encode("f" * 32, 1.0, 1)), **changes}).encode()


def events(out, kind):
    return [event for run in run_folders(out) for event in read_events(run / "log.jsonl") if event["event"] == kind]


def test_two_share_a_campaign_and_each_round_is_trained_once_and_signed(campaign_file, contents, started, tmp_path):
    file, out = campaign_file(tmp_path, sweep={"seed": [0, 1]}, **SHARED), tmp_path / "out"
    both = [started("run", file, "--out", out, "--worker", env={**os.environ, "PBS_JOBID": "7[2].x"}) for _ in range(2)]
    tickets.run(file, out=tmp_path / "alone")
    said = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [errors for _, errors in said] == ["", ""]
    done = Counter(
        (run.name, event["cohort"], event["round"])
        for run in run_folders(out)
        for event in read_events(run / "log.jsonl")
        if event["event"] == "round"
    )
    assert set(done.values()) == {1}
    assert len(done) == 2 * 2 * 2
    assert unsigned(contents(out)) == contents(tmp_path / "alone")
    signed = {path: json.loads(path.read_bytes())["worker"] for path in out.glob("*/*/round-*/manifest.json")}
    assert len(signed) == 8
    assert {who["process"] for who in signed.values()} <= {process.pid for process in both}
    assert {who["job"] for who in signed.values()} == {"pbs 7-2-.x"}
    assert {event["job"] for event in events(out, "started")} == {"pbs 7-2-.x"}
    lines = [line for printed, _ in said for line in printed.splitlines() if "round-00" in line]
    assert len(lines) == 8  # one a round, of whoever trained it
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d ", line) for line in lines)
    assert not list(out.rglob(".lease-*"))


def test_what_another_trains_is_left_to_it_and_what_a_dead_one_had_is_taken(campaign_file, command, tmp_path):
    file, out = campaign_file(tmp_path, sweep={"seed": [0, 1, 2]}, **{**SHARED, "replicates": 1}), tmp_path / "out"
    assert command("run", file, "--out", out, "--worker").code == 0
    first, second, _ = cohorts = [run / "cohort-000" for run in run_folders(out)]
    for cohort in cohorts:
        shutil.rmtree(cohort / "round-001")
    lease = take(first)  # of a process that is at work
    lease_file(second, 4).write_bytes(lease_of(process=2**22 + 1))  # of one that has ended
    try:
        said = command("run", file, "--out", out, "--worker")
    finally:
        lease.release()
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[-1] == "1 cohort left to other workers, which are training them"
    assert "comes back to it later" not in said.out
    assert [(cohort / "round-001").is_dir() for cohort in cohorts] == [False, True, True]
    assert command("run", file, "--out", out, "--worker").code == 0
    assert (first / "round-001").is_dir()


def test_a_process_elsewhere_that_renews_is_left_alone_and_one_that_does_not_is_taken_over(
    campaign_file, command, monkeypatch, tmp_path
):
    monkeypatch.setenv("TICKETS_LEASE_SECONDS", "1")
    file, out = campaign_file(tmp_path, **{**SHARED, "replicates": 1}), tmp_path / "out"
    assert command("run", file, "--out", out, "--worker").code == 0
    (run,) = run_folders(out)
    shutil.rmtree(run / "cohort-000" / "round-001")
    lease_file(run / "cohort-000", 1).write_bytes(lease_of(boot="another"))
    began = time.monotonic()
    assert command("run", file, "--out", out, "--worker").code == 0
    assert time.monotonic() - began >= 1.0
    assert (run / "cohort-000" / "round-001").is_dir()
    assert events(out, "round")[-1]["generation"] == 2


@pytest.fixture
def asked(command, monkeypatch):
    """Runs the command, which is sent a signal while it trains."""

    def ask(number, *arguments):
        monkeypatch.setattr("tickets.stack.progress.WORTHWHILE_S", 0.0)
        add, counts = Meter.add, []

        def added(meter, count):
            counts.append(count)
            if len(counts) == 5:
                os.kill(os.getpid(), number)
            add(meter, count)

        with monkeypatch.context() as patch:
            patch.setattr(Meter, "add", added)
            return command(*arguments)

    return ask


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGTERM"])
def test_a_signal_saves_the_round_and_lets_the_cohort_go(name, asked, campaign_file, command, contents, tmp_path):
    file, out = campaign_file(tmp_path, **LONG), tmp_path / "out"
    said = asked(getattr(signal, name), "run", file, "--out", out, "--worker")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[-1].startswith("asked to end: committed rounds and checkpoints are kept")
    assert len(list(out.glob("*/cohort-000/checkpoint.safetensors"))) == 1
    assert not list(out.rglob(".lease-*"))
    assert command("run", file, "--out", out, "--worker").code == 0
    assert len(events(out, "resumed")) == 1
    tickets.run(file, out=tmp_path / "whole")
    assert unsigned(contents(out)) == contents(tmp_path / "whole")


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Programs in Slurm's place: squeue says a state, scontrol writes down what it is asked."""

    def make(state, fails=False):
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "squeue").write_text(f"#!/bin/sh\necho {state}\n")
        told = "echo 'Invalid job id specified' >&2; exit 1" if fails else f'echo "$@" >>{tmp_path}/told'
        (folder / "scontrol").write_text(f"#!/bin/sh\n{told}\n")
        for program in folder.iterdir():
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        monkeypatch.setenv("SLURM_JOB_ID", "125")
        monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "123")
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
        return tmp_path / "told"

    return make


@pytest.fixture
def ended(monkeypatch, campaign_file, command, tmp_path):
    """A worker that is asked to end at once."""

    def run(*arguments):
        def terminated(*args, **options):
            raise Terminated

        monkeypatch.setattr("tickets.campaign.run_campaign", terminated)
        return command("run", campaign_file(tmp_path), "--out", tmp_path / "out", "--worker", *arguments)

    return run


def test_another_turn_is_asked_for_where_it_is_wanted(ended):
    assert ended().code == 0
    assert ended("--requeue").code == AGAIN == 75


def test_slurm_is_asked_to_requeue_this_element_and_not_its_whole_array(ended, slurm):
    told = slurm("RUNNING")
    assert ended().code == 0
    assert not told.exists()
    said = ended("--requeue")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[-1] == "job 123_0 is queued again"
    assert told.read_text() == "requeue 123_0\n"


def test_a_cancelled_job_does_not_come_back(ended, slurm):
    told = slurm("COMPLETING")
    said = ended("--requeue")
    assert said.code == 75
    assert said.err == "job 123_0 is not queued again: Slurm says that it is completing\n"
    assert not told.exists()


def test_a_refusal_of_slurm_is_said(ended, slurm):
    slurm("RUNNING", fails=True)
    said = ended("--requeue")
    assert said.code == 75
    assert (
        said.err
        == "job 123_0 is not queued again: scontrol requeue 123_0: ended with status 1: Invalid job id specified\n"
    )


def test_the_end_of_the_time_is_an_interrupt_shortly_before_it():
    began = time.monotonic()
    with pytest.raises(Terminated), terminable(), ended_after(0.02):
        time.sleep(60)
    assert 0.9 * 1.2 <= time.monotonic() - began < 30
    with terminable(), ended_after(0.001):
        pass
    time.sleep(0.1)  # the timer is over with its block
    with ended_after(None):
        pass


@pytest.mark.parametrize(
    "given", [["--minutes", "5"], ["--requeue"], ["--worker", "--repair"], ["--worker", "--dry-run"]]
)
def test_options_that_do_not_go_together(given, campaign_file, command, tmp_path):
    said = command("run", campaign_file(tmp_path), "--out", tmp_path / "out", *given)
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert given[-1 if "--worker" in given else 0] in said.err


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, None),
        ({"SLURM_JOB_ID": "125", "SLURM_ARRAY_JOB_ID": "123", "SLURM_ARRAY_TASK_ID": "0"}, "slurm 123_0"),
        ({"SLURM_JOB_ID": "125"}, "slurm 125"),
        ({"PBS_JOBID": "42[7].head.node"}, "pbs 42-7-.head.node"),
        ({"LSB_JOBID": "9", "LSB_JOBINDEX": "0"}, "lsf 9"),
        ({"LSB_JOBID": "9", "LSB_JOBINDEX": "3"}, "lsf 9_3"),
        ({"HQ_JOB_ID": "2", "HQ_TASK_ID": "0"}, "hyperqueue 2_0"),
        ({"JOB_ID": "5", "SGE_TASK_ID": "undefined"}, "sge 5"),
        ({"SLURM_JOB_ID": "1\x1b[31m" + "9" * 200}, "slurm 1--31m" + "9" * 54),
    ],
)
def test_the_job_is_named_as_its_scheduler_does(variables, wanted, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert job() == wanted


def test_a_lease_says_who_has_it_and_how_far_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_JOB_ID", "125")
    (tmp_path / "c").mkdir()
    lease_file(tmp_path / "c", 1).write_bytes(encode("a", 300, 7, Progress(1.5e9, 3, 120, 2000)))
    found = holder_of(tmp_path / "c")
    assert (found.job, found.progress) == ("slurm 125", Progress(1.5e9, 3, 120, 2000))
    assert str(found).endswith(" (job slurm 125)")


@pytest.mark.parametrize(
    "told",
    [1, "x", {}, {"since": 1}, {"since": "1", "round": 1, "done": 1, "total": 1}, [1, 2, 3, 4],
     {"since": 1, "round": -1, "done": 1, "total": 1}, {"since": 1, "round": True, "done": 1, "total": 1},
     {"since": 1e99, "round": 1, "done": 1, "total": 1}, {"since": 1, "round": 1, "done": 1, "total": 1, "more": 1}],
)  # fmt: skip
def test_a_lease_of_another_form_says_nothing_of_its_progress(told, tmp_path):
    content = json.loads(encode("a", 300, 7))
    lease_file(tmp_path, 1).write_bytes(json.dumps({**content, "progress": told, "job": "slurm \x1b"}).encode())
    found = holder_of(tmp_path)
    assert isinstance(found, Holder)
    assert (found.owner, found.job, found.progress) == ("a", None, None)
