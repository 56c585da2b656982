"""The time to start: help, lists and the first training step import no package that they do not use."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import pytest

IMPORTED = """
import sys
from tickets.command_line.app import main
try:
    main()
except SystemExit as end:
    print(end.code, [name for name in ("torch", "pandas", "numpy") if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["run", "--help"], ["approximate", "--help"], ["list", "arms"]]
)
def test_help_and_lists_wait_for_no_large_package(arguments):
    ended = subprocess.run([sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True)
    assert ended.stderr.strip() in ("0 []", "None []")


# The command, but for this: where the first training step is counted, the process says what it has imported, and ends.
UNTIL_FIRST_STEP = """
import os, sys
from tickets.command_line import app, progress
from tickets.listener import Steps
def stop_at_first_step(listener, event):
    if isinstance(event, Steps):
        names = {name.partition(".")[0] for name in sys.modules} | {"torch._dynamo"} & set(sys.modules)
        print("first step", *sorted(names), flush=True)
        os._exit(0)
progress.Lines.__call__ = stop_at_first_step
app.main()
"""
LATER = {"IPython", "jinja2", "matplotlib", "mnist1d", "numba", "requests", "seaborn", "sklearn", "torch._dynamo"}


@pytest.mark.parametrize(("strategy", "used"), [("layered", set()), ("sparse", {"numba"})])
def test_the_first_step_waits_for_no_package_that_the_run_does_not_use(campaign_file, tmp_path, strategy, used):
    file = campaign_file(tmp_path, data="digits", compute={"strategy": strategy})
    ended = subprocess.run(
        [sys.executable, "-c", UNTIL_FIRST_STEP, "run", str(file), "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    imported = set(ended.stdout.partition("first step ")[2].split())
    assert "torch" in imported, ended.stderr
    assert imported & LATER == used


def test_help_is_quick():
    def seconds():
        began = time.perf_counter()
        ended = subprocess.run([sys.executable, "-m", "tickets", "--help"], capture_output=True)
        assert ended.returncode == 0
        return time.perf_counter() - began

    # 0.1 s where nothing else runs; the bound leaves room for a busy machine.
    assert statistics.median(seconds() for _ in range(5)) < 2.0
