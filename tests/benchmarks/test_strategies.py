"""The strategy that is chosen for each model of the zoo, against every other that can train it."""

from __future__ import annotations

from operator import attrgetter

import pytest
import torch

from tickets.errors import InputError
from tickets.stack.execution import STRATEGIES

from .contestants import floor, stack
from .race import Race
from .tables import Row
from .workloads import HALF, ZOO, Ready, Workload, by_strategy, make_ready

pytestmark = pytest.mark.bench


@pytest.mark.parametrize("workload", ZOO, ids=attrgetter("id"))
def test_strategies(workload: Workload, device: torch.device, race: Race, threads: int) -> None:
    chosen = make_ready(workload, HALF, device)
    possible = {name: ready for name in STRATEGIES if (ready := _planned(chosen, name))}
    measures = {name: stack(ready).lasting(race.lasting) for name, ready in possible.items()}
    name = chosen.setting.plan.strategy
    seconds = race.run(name, {"floor": floor(chosen, threads), **measures})
    raced = [seconds[one] for one in possible]
    times = {"chosen": seconds.pop(name), **seconds, "best": [min(turn) for turn in zip(*raced, strict=True)]}
    row = f"{workload} ({name}, {chosen.setting.plan.lanes} lanes)"
    race.keep(Row(f"strategies, {device.type}", row, "chosen", times))


def _planned(ready: Ready, strategy: str) -> Ready | None:
    try:
        return by_strategy(ready, strategy)
    except InputError:
        return None
