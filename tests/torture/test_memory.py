"""Memory that really runs out: a limit of the address space, and the kernel's killer in a control group of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tickets.store import read_events, run_folders, status, verify

# Activations take most of the memory: a hidden layer of 3,000 units for 2,000 examples is 24 MB for each network.
WIDE = {
    "rounds": 0,
    "replicates": 8,
    "arms": ["ticket"],
    "model": {"name": "mlp", "widths": [3000]},
    "train": {"steps": 4, "evaluate_every": 4, "batch_size": 1000},
    "compute": {"threads": 1, "memory_gib": 64.0, "strategy": "vectorised"},
}

LIMITED = """
import resource, sys, tickets
from pathlib import Path
from tickets.listener import Begun

def size():
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()

def limit(event):
    if isinstance(event, Begun):
        resource.setrlimit(resource.RLIMIT_AS, (size() + int(sys.argv[3]), resource.RLIM_INFINITY))

tickets.run(sys.argv[1], out=sys.argv[2], listener=limit)
"""


@pytest.mark.torture
def test_a_limit_of_the_address_space_costs_networks_at_once_and_not_the_run(campaign_file, tmp_path):
    file, tries = campaign_file(tmp_path, **WIDE), set()
    for megabytes in (100, 200, 300, 500, 800, 1200, 2000):
        out = tmp_path / f"out-{megabytes}"
        command = [sys.executable, "-c", LIMITED, str(file), str(out), str(megabytes * 2**20)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        (run,) = run_folders(out)
        (found,) = status(out)
        retries = [event for event in read_events(run / "log.jsonl") if event["event"] == "retry"]
        tries.add((found.state, len(retries)))
        print(megabytes, found.state, len(retries), found.why)
        assert all(event["why"].startswith("out of memory with ") for event in retries)
        assert (done.returncode == 0) == (found.state == "done")
        if found.state == "failed":
            assert "out of memory " in found.why
            assert "; what helps: a smaller " in found.why
        assert verify(out) == []
    assert ("done", 0) in tries
    assert {("done", 1), ("done", 2)} & tries


def own_group(name):
    """A control group below that of this process, whose memory can be limited; skips where there can be none."""
    groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for _, controllers, path in groups:
        if "memory" in controllers.split(","):
            folder, limit = Path("/sys/fs/cgroup/memory") / path.lstrip("/") / name, "memory.limit_in_bytes"
            break
    else:
        folder, limit = Path("/sys/fs/cgroup") / groups[-1][2].lstrip("/") / name, "memory.max"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here ({error})")
    if not (folder / limit).exists():
        folder.rmdir()
        pytest.skip("the memory of a control group cannot be limited here")
    return folder, folder / limit


GROUPED = """
import os, sys, tickets
from pathlib import Path
if __name__ == "__main__":
    Path(sys.argv[3], "cgroup.procs").write_text(str(os.getpid()))
    tickets.run(sys.argv[1], out=sys.argv[2], workers=2)
"""


@pytest.mark.torture
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may limit a control group")
def test_a_process_that_the_kernel_kills_for_memory_is_replaced_by_one_with_fewer_networks(campaign_file, tmp_path):
    module = tmp_path / "hungry.py"
    module.write_text(HUNGRY)
    changes = {"rounds": 0, "replicates": 4, "cohort_size": 2, "arms": ["ticket", {"name": "reinit"}]}
    file, out = campaign_file(tmp_path, model={"name": "hungry:net"}, **changes), tmp_path / "out"
    folder, limit = own_group("tickets-torture")
    script = tmp_path / "script.py"
    script.write_text(GROUPED)
    try:
        limit.write_text(str(3 * 2**30))
        command = [sys.executable, str(script), str(file), str(out), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    finally:
        for _ in range(100):
            try:
                folder.rmdir()
                break
            except OSError:
                continue
    assert done.returncode == 0, done.stderr
    (run,) = run_folders(out)
    retries = [event for event in read_events(run / "log.jsonl") if event["event"] == "retry"]
    print(json.dumps(retries, indent=1))
    assert retries
    for event in retries:
        assert event["why"] == "its process was killed by the kernel, which ran out of memory, with 4 networks at once"
        assert event["networks_at_once"] == 2
    assert [one.state for one in status(out)] == ["done"]
    assert verify(out) == []


HUNGRY = """
import gc, multiprocessing, torch

class Net(torch.nn.Module):
    # Four networks at once take more than there is. How many there are is seen by whose parameters are views.
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)
    def forward(self, x):
        if self.training and multiprocessing.parent_process() is not None:
            base = self.layer.weight._base
            if base is not None and base.dim() == 3 and len(base) > 2:
                held = [torch.ones(2**26) for _ in range(100)]
        return self.layer(x.flatten(1))

def net():
    return Net()
"""


STUBBORN = """
import multiprocessing, signal, torch
if multiprocessing.parent_process() is not None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
def net():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
"""


@pytest.mark.torture
@pytest.mark.parametrize("presses", [1, 2])
def test_processes_that_ignore_the_request_to_end_are_killed(presses, started, campaign_file, module, tmp_path):
    import signal
    import time

    import psutil

    model, out = {"name": f"{module('stubborn', STUBBORN)}:net"}, tmp_path / "out"
    file = campaign_file(tmp_path, train={"steps": 1_000_000}, rounds=0, model=model, sweep={"seed": [0, 1]})
    process = started("run", file, "--out", out, "--workers", "2")
    deadline = time.monotonic() + 120
    while len(list(out.glob("*/cohort-000/initial"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    begun = time.monotonic()
    for _ in range(presses):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.5)
    process.communicate(timeout=60)
    seconds = time.monotonic() - begun
    assert process.returncode == 130
    assert (seconds >= 5) == (presses == 1), seconds
    assert not [one for one in children if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
