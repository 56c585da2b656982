"""`tickets cancel`, and what `tickets status` says of jobs, with a Slurm of shell scripts."""

from __future__ import annotations

import tickets
from tickets.command_line.watching import _Jobs, summary
from tickets.store import status
from tickets.store.outlook import outlook

COHORTS = {"replicates": 5, "cohort_size": 1, "rounds": 0}  # five


def test_cancel(slurm, submitted, command, campaign_file, tmp_path):
    file, out = campaign_file(tmp_path, **COHORTS), tmp_path / "out"
    said = command("cancel", tmp_path / "out")
    assert said.code == 2
    assert "nothing was submitted of it (no jobs/jobs.jsonl)" in said.err
    command("submit", file, "--slurm", "--out", out)
    submitted(out, "55", 1, cluster="east")
    slurm.says("squeue", "101_0|RUNNING|N/A|N/A|1:00|n1|None\n101_[1-3]|PENDING|N/A|N/A|1:00||None\n")
    said = command("cancel", out)
    assert (said.code, said.out) == (0, "job 101: cancelled 1 running, 3 queued\n")
    assert slurm.calls("scancel") == ["scancel 101"]
    # Its elements take some seconds to end, and are not waited for.
    slurm.says("squeue", "101_0|COMPLETING|N/A|N/A|1:00|n1|None\n")
    assert command("submit", file, "--slurm", "--out", out).out.startswith("5 cohorts to do: submitted job 102 with 5")
    slurm.says("squeue", "")
    said = command("cancel", out)
    assert (said.code, said.out) == (0, f"{out}: no job of it runs or waits; nothing to cancel\n")
    assert len(slurm.calls("scancel")) == 1


STATUS = """\
jobs: 1 running, 3 queued, 1 failed, 1 done
  101_0 running on n1 since 2026-11-28T03:10:00, 49:30 left
  3 queued: waits for free resources
  101_5 failed on n2 since 2026-11-28T03:01:00: exit status 1: a run failed
    | RuntimeError: \\x1b[31m no
"""


def test_status_says_where_the_jobs_are(slurm, submitted, command, campaign_file, tmp_path):
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, rounds=0, replicates=1), out=out)
    plain, listed = command("status", out).out, command("status", out, "--json").out
    submitted(out, "101", 6)
    (out / "jobs" / "101_5.out").write_text("RuntimeError: \x1b[31m no\n")
    slurm.says(
        "squeue",
        "101_0|RUNNING|2026-11-28T03:10:00|2026-11-28T03:00:00|49:30|n1|None\n"
        "101_[1-3]|PENDING|N/A|2026-11-28T03:00:00|1:00:00||Resources\n",
    )
    slurm.says("sacct", "101_4|COMPLETED|0:0|Unknown|n1|None\n101_5|FAILED|1:0|2026-11-28T03:01:00|n2|None\n")
    assert command("status", out, "--json").out == listed
    said = command("status", out)
    # Once all runs are done, what failed on the way is only counted.
    assert (said.code, said.out) == (0, plain + "\n".join(STATUS.splitlines()[:3]) + "\n")
    tickets_more = campaign_file(tmp_path, rounds=1, replicates=1)
    (out / "campaign.toml").write_text(tickets_more.read_text())
    assert command("status", out).out.endswith(STATUS)


def test_watching_shows_the_jobs_and_asks_slurm_now_and_then(slurm, submitted, campaign_file, tmp_path):
    out, now = tmp_path / "out", [0.0]
    tickets.run(campaign_file(tmp_path, rounds=0, replicates=1), out=out)
    found = status(out)
    assert _Jobs(out).lines(found) == []
    submitted(out, "101", 1)
    jobs = _Jobs(out, lambda: now[0])
    for seconds, said, wanted in [
        (0.0, "101_0|RUNNING|2026-11-28T03:10:00|2026-11-28T03:00:00|49:30|n1|None\n", "jobs: 1 running"),
        (29.0, "101_0|PENDING|N/A|2026-11-28T03:00:00|1:00:00||Resources\n", "jobs: 1 running"),
        (30.0, "101_0|PENDING|N/A|2026-11-28T03:00:00|1:00:00||Resources\n", "jobs: 1 queued"),
    ]:
        now[0] = seconds
        slurm.says("squeue", said)
        lines = summary(found, outlook(out, found), jobs.lines(found))
        assert (lines[0][:5], lines[1]) == ("1 run", wanted)
    assert len(slurm.calls("squeue")) == 2


def test_watching_says_why_slurm_cannot_be_asked(slurm, submitted, campaign_file, tmp_path):
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, rounds=0, replicates=1), out=out)
    submitted(out, "101", 1)
    (out / "jobs" / "jobs.jsonl").write_bytes(b"{")
    (line,) = _Jobs(out).lines(status(out))
    assert line.startswith("jobs: ")
