"""How long the command takes to answer, and to begin its work; against Python, and torch, starting by themselves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from .race import Race
from .tables import Row

pytestmark = pytest.mark.bench

CAMPAIGN = Path(__file__).parents[2] / "runs" / "mnist1d.toml"
COMMAND = Path(sys.executable).with_name("tickets")
TICKED = 75
# The command itself, but for this: where the first training step would be counted, the process ends, and says so.
UNTIL_FIRST_STEP = f"""
import os
from tickets.command_line import app, progress
from tickets.listener import Steps
progress.Lines.__call__ = lambda self, event: isinstance(event, Steps) and os._exit({TICKED})
app.main()
"""


def test_help(race: Race) -> None:
    measures = {
        "python -c pass": _timed(lambda: [sys.executable, "-c", "pass"]),
        "tickets --help": _timed(lambda: [str(COMMAND), "--help"]),
    }
    seconds = race.run("tickets --help", measures)
    race.keep(Row("start of a process", "tickets --help", "command", _as_command(seconds, "tickets --help")))


def test_first_step(race: Race, tmp_path: Path) -> None:
    number = count()

    def command() -> list[str]:
        out = tmp_path / f"out-{next(number)}"
        return [sys.executable, "-c", UNTIL_FIRST_STEP, "run", str(CAMPAIGN), "--out", str(out)]

    measures = {
        "import torch": _timed(lambda: [sys.executable, "-c", "import torch"]),
        "tickets run": _timed(command, code=TICKED),
    }
    seconds = race.run("tickets run", measures)
    row = "tickets run runs/mnist1d.toml, to its first training step"
    race.keep(Row("start of a process", row, "command", _as_command(seconds, "tickets run")))


def _timed(command: Callable[[], list[str]], code: int = 0) -> Callable[[], float]:
    """Wall-clock seconds from the start of a process to its end, which must be with this code."""

    def measure() -> float:
        arguments = command()
        start = time.perf_counter()
        done = subprocess.run(arguments, capture_output=True, text=True, env=os.environ | {"COLUMNS": "100"})
        seconds = time.perf_counter() - start
        assert done.returncode == code, done.stderr
        return seconds

    return measure


def _as_command(seconds: dict[str, list[float]], subject: str) -> dict[str, list[float]]:
    return {"command": seconds.pop(subject), **seconds}
