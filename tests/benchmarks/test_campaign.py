"""A whole campaign of LeNet-300-100, against the tuned loop in a process a core at equal steps and evaluations."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path

import pytest

import tickets
from tickets.config import parse_campaign

from .processes import Processes
from .race import Race
from .tables import Row
from .workloads import CAMPAIGN, campaign_data

pytestmark = pytest.mark.bench

ROUNDS, REPLICATES, STEPS, EVERY = 20, 5, 1000, 100
ARMS = ("ticket", "reinit", "constant", "random_mask")
TRAININGS = (ROUNDS + 1) * REPLICATES * len(ARMS)


def test_campaign(race: Race, processes: Processes, tmp_path: Path) -> None:
    number = count()
    target = f"{campaign_data.__module__}:{campaign_data.__name__}"
    campaign = parse_campaign(
        {
            "name": "timing",
            "replicates": REPLICATES,
            "rounds": ROUNDS,
            "data": {"name": target, "validation": CAMPAIGN.held_out},
            "model": {**CAMPAIGN.model, "init": "glorot_normal"},
            "arms": list(ARMS),
            "train": {
                "learning_rate": 1e-3,
                "batch_size": CAMPAIGN.batch_size,
                "steps": STEPS,
                "evaluate_every": EVERY,
            },
            "prune": {"rate": 0.2, "output_rate": 0.1},
        }
    )

    def whole() -> float:
        start = time.perf_counter()
        tickets.run(campaign, out=tmp_path / f"out-{next(number)}")
        return (time.perf_counter() - start) / TRAININGS

    def alone() -> float:
        return STEPS * processes.seconds(CAMPAIGN, 1.0, STEPS, EVERY)

    race.rounds = 2  # three minutes each
    seconds = race.run("campaign", {"tuned, a process a core": alone, "campaign": whole})
    name = f"{CAMPAIGN.name}, {ROUNDS} prunings, {REPLICATES} replicates, {len(ARMS)} arms: a training of {STEPS} steps"
    race.keep(Row("a whole campaign, cpu", name, "campaign", seconds))
