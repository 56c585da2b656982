"""The kernel's killer in a control group of its own: told from a SIGKILL that somebody sends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLED = """
import multiprocessing, os, sys, time
from pathlib import Path
from tickets.last_lines import LastLines
from tickets.worker_process import Worker

line = next(line for line in Path("/proc/self/cgroup").read_text().splitlines() if ":memory:" in line)
before = Path("/sys/fs/cgroup/memory") / line.split(":", 2)[2].lstrip("/")
small = before / f"tickets-torture-{os.getpid()}"
small.mkdir()
(small / "memory.limit_in_bytes").write_text(str(200 * 2**20))

def go(pipe, hungry):
    held = [os.urandom(2**20) for _ in range(2000)] if hungry else []
    time.sleep(60)

def make(hungry):
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=go, args=(theirs, hungry), daemon=True)
    process.start()
    theirs.close()
    return Worker(process, ours, LastLines())

try:
    (small / "cgroup.procs").write_text(str(os.getpid()))
    worker = make(hungry=True)
    worker.networks = 8
    print(worker.receive()[1].why)
    worker = make(hungry=False)
    worker.process.kill()
    print(worker.receive()[1].why)
finally:
    (before / "cgroup.procs").write_text(str(os.getpid()))
    time.sleep(0.5)
    small.rmdir()
"""


@pytest.mark.torture
@pytest.mark.skipif(
    not Path("/sys/fs/cgroup/memory").is_dir() or os.geteuid() != 0,
    reason="needs root and version 1 of control groups",
)
def test_a_process_that_the_kernel_kills_for_memory_is_told_from_one_that_somebody_kills():
    command = [sys.executable, "-W", "ignore", "-c", KILLED]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.splitlines() == [
        "its process was killed by the kernel, which ran out of memory, with 8 networks at once",
        "its process was killed by SIGKILL",
    ]
