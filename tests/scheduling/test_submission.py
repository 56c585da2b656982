"""`tickets submit` with a Slurm of shell scripts: what it writes, submits and records, and what it refuses."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import tickets
from tickets.config import SubmitConfig, read_campaign, run_ids
from tickets.errors import InputError
from tickets.scheduling import programs, submission
from tickets.scheduling.site import limits
from tickets.scheduling.submissions import submissions

SUBMIT = {"partition": "main", "memory": "4G", "cpus": 2, "minutes": 30, "at_once": 2}
COHORTS = {"replicates": 5, "cohort_size": 1, "rounds": 0, "arms": ["ticket"]}  # five

SCRIPT = """\
#!/bin/bash
# A worker of the campaign "tiny", of which 5 cohorts were to do.
# `tickets submit` wrote this, submits it from the campaign's folder, and records the job's number there.

# Its name in squeue.
#SBATCH --job-name=tiny
# 4 elements, and at most 2 run at once. Each takes cohorts that nobody else has, until none is left.
#SBATCH --array=0-3%2
# After a preemption or the failure of its node an element is queued again.
#SBATCH --requeue
# What an element prints, by the number of the job and its own, from the campaign's folder.
#SBATCH --output=jobs/%A_%a.out
# An element that is queued again goes on with its output.
#SBATCH --open-mode=append
# 120 s before its time limit, or up to a minute earlier, an element is told to save its state and end.
#SBATCH --signal=B:USR1@120
# The time limit of an element, in minutes.
#SBATCH --time=45
# Where it runs.
#SBATCH --partition=main
# The memory of an element.
#SBATCH --mem=4G
# The processors of an element.
#SBATCH --cpus-per-task=2
# Further options, from the command line.
#SBATCH --constraint=a100|h100
#SBATCH --mail-user "me at home"

# Relative paths are those of the folder in which it was submitted.
cd -- {here} || exit 2
# One thread for each processor that the element has.
export OMP_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-1}}"
# The campaign file below is a copy, which later changes do not reach. Your own modules stay beside yours.
export TICKETS_MODULES={beside}
# exec: the worker takes the place of this shell, so that it gets the signals.
exec {python} -P -m tickets run {campaign} --out {out} --worker --requeue --minutes 45
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, whose name asks for quotes."""
    folder = tmp_path / "it's $(here)"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_script_is_submitted_recorded_and_counted(slurm, command, campaign_file, here, tmp_path):
    file, out = campaign_file(tmp_path / "my campaigns", **COHORTS, submit=SUBMIT), here / "o u t"
    options = ["--array", 4, "--minutes", 45, "--", "--constraint=a100|h100", "--mail-user", "me at home"]
    said = command("submit", file, "--slurm", "--out", "o u t", *options)
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "5 cohorts to do: submitted job 101 with 4 elements (--array or submit.array) (folder: o u t)\n"
    )
    (campaign,) = out.glob("jobs/tiny-*.toml")
    written = (out / "jobs" / "slurm.sh").read_text()
    assert written == SCRIPT.format(
        here=shlex.quote(str(here)),
        beside=shlex.quote(str(file.parent)),
        python=shlex.quote(sys.executable),
        campaign=shlex.quote(str(campaign)),
        out=shlex.quote(str(out)),
    )
    assert slurm.script() == written
    assert (slurm.folder / "101.folder").read_text() == f"{out}\n"
    assert slurm.calls("sbatch") == ["sbatch --parsable jobs/slurm.sh"]
    assert subprocess.run(["/bin/bash", "-n", out / "jobs" / "slurm.sh"], check=False).returncode == 0
    (line,) = (out / "jobs" / "jobs.jsonl").read_text().splitlines()
    recorded = json.loads(line)
    assert recorded["time"]
    assert {key: recorded[key] for key in ("event", "scheduler", "job", "cluster", "elements", "campaign")} == {
        "event": "submitted", "scheduler": "slurm", "job": "101", "cluster": "", "elements": 4,
        "campaign": campaign.name,
    }  # fmt: skip
    assert recorded["arguments"][:3] == ["tickets", "submit", str(file)]


def test_the_copy_trains_what_the_file_asks_for(slurm, command, campaign_file, module, tmp_path, monkeypatch):
    file = campaign_file(tmp_path, **COHORTS, submit=SUBMIT)
    out = tmp_path / "out"
    command("submit", file, "--slurm", "--out", out, "--set", "train.steps=10")
    copy = read_campaign(next(out.glob("jobs/tiny-*.toml")))
    asked = read_campaign(file, ["train.steps=10"])
    assert run_ids(copy.runs) == run_ids(asked.runs)
    assert copy == replace(asked, submit=SubmitConfig())
    assert asked == read_campaign(out / "campaign.toml")
    assert asked.submit == SubmitConfig(**SUBMIT)


OWN = """
from torch import nn
def net(input_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))
"""


def test_own_modules_beside_the_file_are_found_by_the_copy(slurm, command, campaign_file, here, tmp_path, monkeypatch):
    beside, out = tmp_path / "beside", tmp_path / "out"
    file = campaign_file(beside, rounds=0, replicates=1, model="own_net_of_a_job:net")
    (beside / "own_net_of_a_job.py").write_text(OWN)
    assert command("submit", file, "--slurm", "--out", out).code == 0
    (copy,) = out.glob("jobs/tiny-*.toml")
    sys.modules.pop("own_net_of_a_job", None)
    with pytest.raises(InputError, match="own_net_of_a_job"):
        tickets.run(copy, out=out)
    monkeypatch.setenv("TICKETS_MODULES", str(beside))
    assert len(tickets.run(copy, out=out).runs) == 1


def test_the_same_command_again_submits_what_is_missing(slurm, command, campaign_file, tmp_path):
    file, out = campaign_file(tmp_path, **COHORTS), tmp_path / "out"
    again = ["submit", file, "--slurm", "--out", out]
    assert command(*again, "--array", 2).out.startswith("5 cohorts to do: submitted job 101 with 2 elements")
    said = command(*again, "--array", 2)
    assert said.out == "5 cohorts to do, 2 elements running or waiting: --array or submit.array allows no more\n"
    assert said.code == 0
    said = command(*again)
    assert (
        said.out
        == f"5 cohorts to do, 2 elements running or waiting: submitted job 102 with 3 elements (folder: {out})\n"
    )
    assert command(*again).out == "5 cohorts to do, 5 elements running or waiting: nothing to submit\n"
    # One runs, one was cancelled, the others have ended without doing anything.
    slurm.says("squeue", "101_0|RUNNING|N/A|N/A|1:00|n1|None\n102_1|CANCELLED|N/A|N/A|1:00||None\n")
    assert "submitted job 103 with 4 elements" in command(*again).out
    slurm.says("squeue", "")
    tickets.run(file, out=out)
    said = command(*again)
    assert (said.code, said.out) == (0, "0 cohorts to do: nothing to submit\n")
    assert [job.job for job in submissions(out)] == ["101", "102", "103"]


def test_limits_of_the_site(slurm, command, campaign_file, tmp_path):
    file, out = campaign_file(tmp_path, **COHORTS), tmp_path / "out"
    again = ["submit", file, "--slurm", "--out", out, "--dry-run"]
    slurm.says("scontrol", "MaxArraySize            = 1001\nMaxJobCount             = 4\n")
    assert "would submit 4 elements (Slurm's MaxJobCount here)" in command(*again).out
    slurm.says("scontrol", "MaxArraySize            = 0\n")
    said = command(*again)
    assert said.code == 2
    assert said.err.startswith("error: Slurm's MaxArraySize here is 0: it takes no arrays")


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (b"MaxArraySize            = 1001\nMaxJobCount             = 10000\n", [1001, 10_000]),
        (b"NotMaxArraySize = 3\nMaxJobCount = (null)\n", []),
        (b"\xff\x00garbage\n" * 100, []),
    ],
)
def test_what_the_site_says_of_its_limits(config, found, slurm):
    slurm.says("scontrol", config)
    assert list(limits().values()) == found
    slurm.lacks("scontrol")
    assert limits() == {}


def test_a_dry_run_prints_the_script_and_writes_nothing(slurm, command, campaign_file, tmp_path):
    file, out = campaign_file(tmp_path, **COHORTS), tmp_path / "out"
    for name in ("sbatch", "squeue", "scontrol"):
        slurm.lacks(name)
    said = command("submit", file, "--slurm", "--out", out, "--dry-run")
    assert (said.code, said.err, out.exists()) == (0, "", False)
    *script, last = said.out.splitlines()
    assert script[0] == "#!/bin/bash"
    assert "#SBATCH --array=0-4" in script
    assert last == f"5 cohorts to do: would submit 5 elements; dry run: nothing is submitted or written (folder: {out})"


def test_without_sbatch_nothing_is_written(slurm, command, campaign_file, tmp_path):
    slurm.lacks("sbatch")
    said = command("submit", campaign_file(tmp_path), "--slurm", "--out", tmp_path / "out")
    assert said.code == 2
    assert said.err == "error: sbatch: there is no such program on PATH; run this on a machine with Slurm\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("how", ["fails", "hangs", "says nothing"])
def test_sbatch_that_does_not_submit(how, slurm, command, campaign_file, tmp_path, monkeypatch):
    file, out = campaign_file(tmp_path), tmp_path / "out"
    if how == "fails":
        slurm.fails("sbatch", "sbatch: error: Batch job submission failed: Invalid account\n")
    elif how == "hangs":
        monkeypatch.setattr(programs, "DEADLINE", 0.5)
        (slurm.folder / "sbatch").write_text("#!/bin/sh\nexec /usr/bin/sleep 60\n")
    else:
        slurm.says("sbatch", "Submitted, I think\n")
    said = command("submit", file, "--slurm", "--out", out)
    assert said.code == 2
    assert {
        "fails": "ended with status 1: sbatch: error: Batch job submission failed: Invalid account\n",
        "hangs": "did not end within 0.5 s; is the scheduler up? (see `squeue --me` whether it was submitted)\n",
        "says nothing": "printed 'Submitted, I think\\n', not the number of a job; see `squeue --me` whether",
    }[how] in said.err
    assert submissions(out) == []
    assert command("status", out).out.splitlines()[-1].startswith("prunable") or command("status", out).code == 0


def test_jobs_that_may_still_run_keep_it_from_submitting(slurm, submitted, command, campaign_file, tmp_path):
    file, out = campaign_file(tmp_path), tmp_path / "out"
    command("submit", file, "--slurm", "--out", out)
    slurm.fails("squeue", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n")
    said = command("submit", file, "--slurm", "--out", out)
    assert said.code == 2
    assert "Unable to contact slurm controller" in said.err
    assert len(submissions(out)) == 1


def test_a_changed_campaign_waits_for_the_jobs_of_the_other(slurm, command, campaign_file, tmp_path):
    file, out = campaign_file(tmp_path, **COHORTS), tmp_path / "out"
    again = ["submit", file, "--slurm", "--out", out]
    command(*again, "--array", 1)
    said = command(*again, "--set", "rounds=1")
    assert said.code == 2
    assert said.err == (
        f"error: {out}: 1 element running or waiting (jobs 101), with another content of the campaign; wait for the "
        f"end, or end all with `tickets cancel {out}`\n"
    )
    assert command(*again, "--set", "rounds=1", "--array", 1).code == 2  # though no more elements are wanted
    assert "submitted job 102" in command(*again, "--set", "submit.memory=8G").out  # changes nothing of what is trained
    assert 'memory = "8G"' in (out / "campaign.toml").read_text()
    slurm.says("squeue", "")
    assert "submitted job 103" in command(*again, "--set", "rounds=1").out
    assert len({job.campaign for job in submissions(out)}) == 2
    assert len(list(out.glob("jobs/tiny-*.toml"))) == 2


def test_another_submit_table_neither_stops_a_run_nor_is_written_by_it(slurm, command, campaign_file, tmp_path):
    file, out = campaign_file(tmp_path, rounds=0, replicates=1), tmp_path / "out"
    command("submit", file, "--slurm", "--out", out, "--set", "submit.memory=8G")
    written = (out / "campaign.toml").read_bytes()
    tickets.run(file, out=out)
    assert (out / "campaign.toml").read_bytes() == written
    assert command("verify", out).code == 0


def test_a_campaign_goes_on_beside_jobs(slurm, submitted, command, campaign_file, tmp_path):
    file, out = campaign_file(tmp_path, rounds=0, replicates=1), tmp_path / "out"
    command("submit", file, "--slurm", "--out", out)
    assert command("status", out).code == 0
    assert command("run", file, "--out", out).code == 0
    assert command("run", file, "--out", out, "--repair").code == 0
    said = command("verify", out)
    assert (said.code, said.out) == (0, f"{out}: all files are as committed\n")
    assert len(tickets.load(out).runs) == 1


def test_a_gpu_is_not_needed_where_jobs_are_submitted(slurm, command, campaign_file, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    file = campaign_file(tmp_path, submit={"gpus": 1})
    said = command("submit", file, "--slurm", "--out", tmp_path / "out", "--device", "cuda")
    assert said.code == 0
    assert "#SBATCH --gres=gpu:1\n" in slurm.script()
    assert " --device cuda --worker --requeue\n" in slurm.script()
    said = command("submit", file, "--slurm", "--out", tmp_path / "out", "--device", "cude")
    assert said.code == 2
    assert "did you mean 'cuda'?" in said.err


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "tickets submit: name the scheduler: --slurm"),
        (["--slurm", "--", "other.sh"], "-- other.sh: 'other.sh' must be an option of sbatch"),
        (["--slurm", "--", "--tim=3"], "-- --tim=3: '--tim=3' cannot be given: give --minutes, or submit.minutes"),
        (["--slurm", "--", "-W"], "-- -W: '-W' cannot be given: `tickets submit` does not wait"),
        (["--slurm", "--", "--nice", "a\nb"], "-- --nice a\\nb: 'a\\nb' must be 1 to 1,000 letters, without line"),
    ],
)  # fmt: skip
def test_wrong_arguments(arguments, error, slurm, command, campaign_file, tmp_path):
    said = command("submit", campaign_file(tmp_path), "--out", tmp_path / "out", *arguments)
    assert said.code == 2
    assert said.err.startswith(f"error: {error}")
    assert not slurm.calls()
    assert not Path(tmp_path / "out").exists()


def test_runs_that_begin_meanwhile_do_not_keep_a_submission_back(slurm, command, campaign_file, monkeypatch, tmp_path):
    file, out, times = campaign_file(tmp_path, **COHORTS), tmp_path / "out", []
    tickets.run(campaign_file(tmp_path / "first", **{**COHORTS, "replicates": 1}), out=out)
    check = submission.check_for_worker

    def checked(*args, **options):
        times.append(check(*args, **options))
        for path in out.glob("*/run.json"):
            os.utime(path, ns=(0, len(times)))
        return times[-1]

    monkeypatch.setattr(submission, "check_for_worker", checked)
    assert command("submit", file, "--slurm", "--out", out).out.startswith("4 cohorts to do: submitted job 101")
    assert len(times) <= 2  # once more where campaign.toml was another one
