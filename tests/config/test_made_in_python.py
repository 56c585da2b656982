"""Runs and sections made in Python are checked like tables, and read back as the same run."""
# ruff: noqa: E501 - a line that a user reads is easier to check unbroken

from __future__ import annotations

import pytest
from problem_lines import BASE, MOMENTUM, lines

from tickets.config import ArmConfig, TrainConfig, parse_run
from tickets.config.schema import Run


def test_a_run_made_in_python_is_judged_too() -> None:
    run = parse_run(BASE)
    with pytest.raises(ValueError, match=r"rewind\.step: must be less than train\.steps = 1000"):
        Run.model_validate({**run.model_dump(), "rewind": {"step": 1000}})


def test_sections_made_in_python_are_judged_like_tables() -> None:
    train = TrainConfig(momentum=0.9)
    assert lines(train=train, arms=[ArmConfig(name="reinit")]) == [
        f"train.momentum = 0.9: {MOMENTUM}",
        'arms = [{"name": "reinit", "draws": 1, "start": null, "value": n...: must hold "ticket": every other arm is compared with it',
    ]
    assert parse_run({**BASE, "train": TrainConfig(steps=5)}).train.steps == 5


def test_what_a_run_holds_reads_back_as_the_same_run() -> None:
    run = parse_run({**BASE, "rounds": 1, "prune": {"density": 0.3}, "arms": ["ticket", "constant"]})
    assert parse_run(run.model_dump(mode="json")) == run
