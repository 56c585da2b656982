"""The script of a job: what a shell and sbatch read in it, whatever the names are."""

from __future__ import annotations

import subprocess

import pytest

from tickets.config import SubmitConfig
from tickets.scheduling.script import Job, quoted, script_of


def test_the_shell_passes_on_what_was_meant(campaign_file, tmp_path):
    """Run by bash, with a program that prints its arguments in Python's place."""
    odd = tmp_path / 'it\'s "a" $(touch x) `y`; é'
    odd.mkdir()
    python = odd / "python & co"
    python.write_text('#!/bin/sh\npwd\necho "$TICKETS_MODULES" "$OMP_NUM_THREADS"\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    copy = odd / "out" / "jobs" / "a b.toml"
    paths = {"folder": odd / "out", "campaign": copy, "submitted_in": odd, "modules": odd / "-n", "data": odd / "data"}
    job = Job("tiny", 3, 3, SubmitConfig(), [], **paths, device="cuda", python=str(python))
    (tmp_path / "script.sh").write_text(script_of(job))
    printed = subprocess.run(
        ["/bin/bash", tmp_path / "script.sh"],
        capture_output=True,
        text=True,
        check=True,
        env={"SLURM_CPUS_PER_TASK": "3"},
    ).stdout.splitlines()
    assert printed == [
        str(odd), f"{odd}/-n 3", "-P", "-m", "tickets", "run", f"{odd}/out/jobs/a b.toml", "--out", f"{odd}/out",
        "--data", f"{odd}/data", "--device", "cuda", "--worker", "--requeue",
    ]  # fmt: skip
    assert sorted(path.name for path in odd.iterdir()) == ["python & co"]


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("--gres=gpu:a100:2", "--gres=gpu:a100:2"),
        ("a b", '"a b"'),
        ("it's", '"it\'s"'),
        ('a "b" \\ #c', '"a \\"b\\" \\\\ #c"'),
        ("", '""'),
    ],
)
def test_quotes_of_sbatch(word, text):
    assert quoted(word) == text


@pytest.mark.parametrize("letter", ["\n", "\r", "\x1b", "%", "\\"])
def test_paths_that_slurm_cannot_take_are_refused(letter, slurm, command, campaign_file, tmp_path):
    said = command("submit", campaign_file(tmp_path), "--slurm", "--out", tmp_path / f"a{letter}b")
    assert said.code == 2
    assert said.err.startswith("error: --out = ")
    assert len(said.err.splitlines()) == 1
    assert not slurm.calls("sbatch")
    assert not (tmp_path / f"a{letter}b" / "jobs").exists()
