"""What pruning does to a round's time: the stack at each density, against itself when dense.

The masks are random places, the same share of each tensor; a ticket's have more structure.
"""

from __future__ import annotations

from operator import attrgetter

import pytest
import torch

from .contestants import floor, stack, tuned, tuned_processes
from .race import Race
from .tables import Row
from .workloads import BY_DENSITY, DENSITIES, Workload, make_ready

pytestmark = pytest.mark.bench


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("workload", BY_DENSITY, ids=attrgetter("id"))
def test_density(
    workload: Workload,
    density: float,
    device: torch.device,
    race: Race,
    threads: int,
    request: pytest.FixtureRequest,
) -> None:
    dense, ready = make_ready(workload, 1.0, device), make_ready(workload, density, device)
    entered = {"stack, dense": stack(dense), "tuned loop": tuned(ready, threads), "stack": stack(ready)}
    if device.type == "cpu":
        del entered["tuned loop"]
        processes = tuned_processes(ready, density, request.getfixturevalue("processes"))
        entered = {"tuned, a process a core": processes, **entered}
    measures = {name: one.lasting(race.lasting) for name, one in entered.items()}
    seconds = race.run("stack", {"floor, dense": floor(ready, threads), **measures})
    race.keep(Row(f"a round's step by density, {device.type}", f"{workload}, density {density}", "stack", seconds))
