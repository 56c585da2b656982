"""A whole campaign of LeNet-300-100, against the tuned loop in a process a core at equal steps and evaluations."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path

import pytest

import tickets

from .processes import Processes
from .race import Race
from .tables import Row
from .workloads import CAMPAIGN, lenet_campaign

pytestmark = pytest.mark.bench

ROUNDS, REPLICATES, STEPS, EVERY = 20, 5, 1000, 100
ARMS = ("ticket", "reinit", "constant", "random_mask")
TRAININGS = (ROUNDS + 1) * REPLICATES * len(ARMS)


def test_campaign(race: Race, processes: Processes, tmp_path: Path) -> None:
    number = count()
    campaign = lenet_campaign(
        "timing",
        replicates=REPLICATES,
        rounds=ROUNDS,
        arms=ARMS,
        learning_rate=1e-3,
        steps=STEPS,
        every=EVERY,
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
