"""Jobs of a real Slurm: submitted, seen, queued again, ended, and what is said while slurmctld is away."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from tickets.scheduling import programs
from tickets.scheduling.queue import elements, last_lines
from tickets.scheduling.submissions import submissions
from tickets.store import read_events, run_folders, status, verify

# Stands for Python, so that an element does what the test wants: it runs until a file says how it is to end.
STAND_IN = """\
#!/bin/bash
name="${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
trap 'echo "told to end"; exit 0' TERM USR1
echo "begins in $PWD with $OMP_NUM_THREADS threads, start ${SLURM_RESTART_COUNT:-0}: $*"
while [ ! -e "${0%/*}/end.$name" ]; do sleep 0.1; done
. "${0%/*}/end.$name"
"""
COHORTS = {"replicates": 5, "cohort_size": 1, "rounds": 0}  # five


@pytest.fixture(scope="module")
def cluster(running):
    with running(processors=4) as started:
        yield started


@pytest.fixture
def here(cluster, tmp_path, monkeypatch):
    """The current folder, from which Slurm's programs find the cluster."""
    folder = tmp_path / "it's $(here)"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    return folder


def until(done, seconds=30):
    end = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return found


def states(out):
    return [one.state for one in elements(out)]


def test_the_life_of_an_array(cluster, command, campaign_file, here, tmp_path, monkeypatch):
    stand_in = tmp_path / "stand-in" / "python"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))

    def end(name, how):
        (stand_in.parent / f"end.{name}").write_text(how)

    file, out = campaign_file(here, **COHORTS, submit={"cpus": 1, "minutes": 60, "at_once": 4}), Path('o "u" t')
    said = command("submit", file.name, "--slurm", "--out", out, "--", '--comment=it\'s "me" \\ #1')
    assert (said.code, said.err) == (0, "")
    (job,) = (one.job for one in submissions(out))
    assert (
        cluster.call("squeue", "-h", "-j", job, "-r", "-o", "%k|%j|%l").splitlines()
        == ['it\'s "me" \\ #1|tiny|1:00:00'] * 5
    )

    # Four run, and one waits until one of them ends.
    until(lambda: states(out) == ["running"] * 4 + ["queued"])
    found = elements(out)
    assert found[4].why == "waits for others of the array: as many run as may at once"
    assert all(one.node and one.since and one.left for one in found[:4])
    (line,) = until(lambda: last_lines(out, found[0]))
    copy = next((here / out).glob("jobs/tiny-*.toml"))
    assert line.startswith(f"begins in {here} with 1 threads, start 0: -P -m tickets run {copy} --out")
    said = command("submit", file, "--slurm", "--out", out)
    assert said.out == "5 cohorts to do, 5 elements running or waiting: nothing to submit\n"

    # One ends well, one fails, one is killed; the last one gets their place.
    end(f"{job}_0", "exit 0")
    end(f"{job}_1", "echo oh no; exit 1")
    end(f"{job}_2", "kill -9 $$")
    until(lambda: states(out) == ["done", "failed", "failed", "running", "running"])
    found = until(lambda: [one for one in elements(out) if one.why][1:] and elements(out))
    assert [one.why for one in found] == ["", "exit status 1: a run failed", "ended by signal 9 (SIGKILL)", "", ""]
    assert last_lines(out, found[1], 1) == ["oh no"]

    # An element that is queued again is told to end, and goes on with its output.
    cluster.call("scontrol", "requeue", f"{job}_3")
    until(lambda: elements(out)[3].state == "requeued")
    until(lambda: elements(out)[3].state == "running")
    lines = until(lambda: (found := last_lines(out, elements(out)[3])) and len(found) >= 3 and found)
    assert ["told to end" in lines, "start 0" in lines[0], "start 1" in lines[-1]] == [True] * 3

    # What Slurm sends before the time limit reaches the worker itself.
    cluster.call("scancel", "--batch", "--signal=USR1", f"{job}_4")
    until(lambda: elements(out)[4].state == "done")
    assert last_lines(out, elements(out)[4], 1) == ["told to end"]

    said = command("submit", file, "--slurm", "--out", out, "--", "--hold")
    assert "submitted job" in said.out
    assert "with 4 elements" in said.out
    assert states(out)[5:] == ["queued"] * 4
    assert elements(out)[5].why == "held by its user: release it with scontrol release"
    said = command("status", out)
    assert "jobs: 1 running, 4 queued, 2 failed, 2 done\n" in said.out
    assert "\n    | oh no\n" in said.out

    said = command("cancel", out)
    held = submissions(out)[1].job
    assert said.out == f"job {job}: cancelled 1 running\njob {held}: cancelled 4 queued\n"
    until(lambda: states(out) == ["done", "failed", "failed", "cancelled", "done"] + ["cancelled"] * 4)
    assert command("cancel", out).out.endswith("nothing to cancel\n")


def test_two_submissions_at_once_submit_once(cluster, started, command, campaign_file, here, monkeypatch):
    # A slow sbatch: without the lock of the campaign's folder both would submit.
    slow = here / "slow" / "sbatch"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\nsleep 3\nexec "{shutil.which("sbatch")}" "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    file = campaign_file(here, **COHORTS)
    both = [started("submit", file, "--slurm", "--out", "out", "--", "--hold") for _ in range(2)]
    said = sorted(process.communicate()[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    (job,) = submissions(Path("out"))
    assert said == [
        "5 cohorts to do, 5 elements running or waiting: nothing to submit\n",
        f"5 cohorts to do: submitted job {job.job} with 5 elements (folder: out)\n",
    ]
    assert command("cancel", "out").out == f"job {job.job}: cancelled 5 queued\n"


def test_while_slurmctld_is_away_the_state_is_unknown(cluster, command, campaign_file, here, monkeypatch):
    file = campaign_file(here, **COHORTS)
    command("submit", file, "--slurm", "--out", "out", "--array", 1, "--", "--hold")
    assert states(Path("out")) == ["queued"]
    time.sleep(6)  # a job that was submitted a moment ago is lost with slurmctld, which saves its state now and then
    monkeypatch.setattr(programs, "DEADLINE", 3)
    cluster.kill_controller()
    try:
        (one,) = elements(Path("out"))
        assert one.state == "unknown"
        assert one.why.startswith("squeue -h")
        said = command("submit", file, "--slurm", "--out", "out")
        assert said.code == 2
        assert said.err.startswith("error: squeue -h")
    finally:
        cluster.start_controller()
    assert states(Path("out")) == ["queued"]
    assert command("cancel", "out").code == 0


def test_real_workers_finish_a_campaign_and_sign_it(cluster, command, campaign_file, here):
    if "--requeue" not in command("run", "--help").out:
        pytest.skip("needs tickets run --worker")
    file, out = campaign_file(here, **COHORTS), Path("out")
    command("submit", file, "--slurm", "--out", out, "--array", 2)
    until(lambda: states(out) == ["done", "done"], 90)
    (job,) = (one.job for one in submissions(out))
    (run,) = run_folders(out)
    signed = {event["job"] for event in read_events(run / "log.jsonl") if event["event"] == "started"}
    assert signed
    assert signed <= {f"slurm {job}_0", f"slurm {job}_1"}
    assert [one.state for one in status(out)] == ["done"]
    assert verify(out) == []
    assert command("submit", file, "--slurm", "--out", out).out == "0 cohorts to do: nothing to submit\n"


def test_without_accounting_what_slurm_has_forgotten_is_unknown(running, command, campaign_file, here, monkeypatch):
    with running(accounting=False, settings=["MinJobAge=2"]) as cluster:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "executable", "/bin/false")
        command("submit", campaign_file(here, **COHORTS), "--slurm", "--out", "out", "--array", 1)
        until(lambda: states(Path("out")) == ["failed"])
        until(lambda: states(Path("out")) == ["unknown"], 60)
        (one,) = elements(Path("out"))
        assert one.why.endswith("Slurm accounting storage is disabled")
