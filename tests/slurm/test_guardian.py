"""A cluster ends with the process that started it, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

STARTER = """
import os, signal, subprocess, sys
from pathlib import Path
from slurm.guardian import guardian
folder = Path(sys.argv[1])
with guardian(folder):
    conf = {"SLURM_CONF": f"{folder}/slurm.conf"}
    daemon = subprocess.Popen(["sleep", "600"], env={**os.environ, **conf}, start_new_session=True)
    print(daemon.pid, flush=True)
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_its_processes_and_its_folder_go_with_whoever_started_it(how, tmp_path):
    folder = tmp_path / "cluster"
    folder.mkdir()
    (folder / "key").touch()
    with subprocess.Popen(["sleep", "600"], env={**os.environ, "SLURM_CONF": f"{folder}2/slurm.conf"}) as other:
        done = subprocess.run(
            [sys.executable, "-c", STARTER, folder, how], stdout=subprocess.PIPE, text=True, timeout=60, check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )  # fmt: skip
        assert done.returncode == (-9 if how == "killed" else 0)
        daemon = Path(f"/proc/{int(done.stdout)}")
        until = time.monotonic() + 30
        while (folder.exists() or _runs(daemon)) and time.monotonic() < until:
            time.sleep(0.02)
        assert not folder.exists()
        assert not _runs(daemon)
        assert other.poll() is None  # of another cluster
        other.kill()


def _runs(process):
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
