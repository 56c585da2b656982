"""A training step of one network, masks at half density: the stack against loops, and against the floor."""

from __future__ import annotations

from operator import attrgetter

import pytest
import torch

from .contestants import floor, plain, stack, tuned, tuned_processes
from .race import Race
from .tables import Row
from .workloads import HALF, TRAINING, Workload, make_ready

pytestmark = pytest.mark.bench


@pytest.mark.parametrize("workload", TRAINING, ids=attrgetter("id"))
def test_training(
    workload: Workload, device: torch.device, race: Race, threads: int, request: pytest.FixtureRequest
) -> None:
    ready = make_ready(workload, HALF, device)
    entered = {"plain loop": plain(ready, threads), "tuned loop": tuned(ready, threads)}
    if device.type == "cpu":
        entered["tuned, a process a core"] = tuned_processes(ready, HALF, request.getfixturevalue("processes"))
    measures = {name: one.lasting(race.lasting) for name, one in (*entered.items(), ("stack", stack(ready)))}
    seconds = race.run("stack", {"floor": floor(ready, threads), **measures})
    race.keep(Row(f"training step of one network, {device.type}", str(workload), "stack", seconds))
