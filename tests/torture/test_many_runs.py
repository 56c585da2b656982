"""`tickets status` of 10,000 runs: how long it takes when nothing was read before, and the next time."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from many_runs import make_many_runs

RUNS = 10_000
ALLOWED_S = 5.0


def seconds(*arguments):
    """Wall-clock seconds of the command, start of the interpreter included, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "tickets", *arguments], capture_output=True, text=True, check=True)
    return time.perf_counter() - start, done.stdout


@pytest.mark.torture
def test_status_of_10000_runs(tmp_path):
    folder = tmp_path / "many"
    make_many_runs(folder, RUNS)
    first, table = seconds("status", str(folder))
    assert table.count("│ done ") == RUNS
    time.sleep(3)  # what is younger than 2 s is read again
    (folder / ".index").unlink()
    again, _ = seconds("status", str(folder))
    indexed, table_again = seconds("status", str(folder))
    as_json, text = seconds("status", str(folder), "--json")
    assert table_again == table
    assert len(json.loads(text)) == RUNS
    print(
        f"{RUNS:,} runs: {first:.1f} s and {again:.1f} s without an index, {indexed:.1f} s and {as_json:.1f} s with it"
    )
    assert max(indexed, as_json) < ALLOWED_S
