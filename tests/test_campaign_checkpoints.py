"""A campaign that is killed in the middle of a round, and goes on from the round's checkpoint."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tickets
from tickets.config import parse_run, run_id
from tickets.store import read_events

NAME = "checkpoint.safetensors"
# Long enough to be killed in the middle; by a loop, a step at a time.
LONG: dict[str, Any] = {
    "model": {"name": "mlp", "widths": [8]},
    "rounds": 0,
    "arms": ["ticket", "reinit"],
    "train": {"steps": 1000, "evaluate_every": 500, "optimizer": "adam"},
    "compute": {"strategy": "layered"},
    "store": {"checkpoint_minutes": 5e-4},
}


def events(out: Path, kind: str) -> list[dict[str, Any]]:
    return [event for log in out.glob("*/log.jsonl") for event in read_events(log) if event["event"] == kind]


def test_killed_in_mid_round_the_command_goes_on_and_gives_the_same_bits(
    campaign_file: Callable[..., Path], contents: Callable[[Path], Any], started: Any, command: Any, tmp_path: Path
) -> None:
    file, out = campaign_file(tmp_path, **LONG), tmp_path / "out"
    process, deadline = started("run", file, "--out", out), time.monotonic() + 300
    while not list(out.glob(f"*/cohort-000/{NAME}")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(out.glob(f"*/cohort-000/{NAME}"))
    assert command("status", out).code == 0
    said = command("run", file, "--out", out)
    assert (said.code, "begins anew" in said.err + said.out) == (0, False)
    (resumed,) = events(out, "resumed")
    assert 0 < resumed["step"] <= 1000
    assert resumed["seconds"] > 0
    tickets.run(file, out=tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")  # no checkpoint is left
    assert events(tmp_path / "whole", "resumed") == []


def test_a_checkpoint_that_outlived_its_round_is_removed(
    campaign_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the commit of the last round and the removal."""
    small = {"rounds": 0, "replicates": 1, "arms": ["ticket"], "compute": {"strategy": "layered"}}
    file, out = campaign_file(tmp_path, **small, store={"checkpoint_minutes": 1e-9}), tmp_path / "out"
    with monkeypatch.context() as patch:
        for module in ("checkpoint", "cohort"):
            patch.setattr(f"tickets.{module}.remove_checkpoint", lambda folder: None)
        tickets.run(file, out=out)
    (cohort,) = out.glob("*/cohort-000")
    assert (cohort / NAME).is_file()
    assert len(tickets.load(out).rounds) == 1  # readers do not mind it
    tickets.run(file, out=out)
    assert sorted(path.name for path in cohort.iterdir()) == ["initial", "round-000"]


def test_the_key_is_no_part_of_the_run_and_is_written_where_it_is_given() -> None:
    table = {"name": "a", "data": "digits", "model": "mlp"}
    usual, other = parse_run(table), parse_run({**table, "store": {"checkpoint_minutes": 0}})
    assert usual.store.checkpoint_minutes == 5.0
    assert run_id(usual) == run_id(other)
    assert "checkpoint_minutes" not in json.dumps(usual.model_dump(mode="json"))
    assert other.model_dump(mode="json")["store"]["checkpoint_minutes"] == 0


@pytest.mark.parametrize("minutes", [-1, float("inf"), float("nan"), "5", True])
def test_minutes_that_are_no_number_of_minutes_are_refused(minutes: Any) -> None:
    with pytest.raises(tickets.errors.InputError, match=r"store\.checkpoint_minutes"):
        parse_run({"name": "a", "data": "digits", "model": "mlp", "store": {"checkpoint_minutes": minutes}})
