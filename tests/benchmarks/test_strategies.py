"""The strategy that is chosen for each model of the zoo, against every other that can train it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tickets.catalogue import STRATEGIES
from tickets.errors import InputError

from .contestants import floor, stack, tuned, tuned_processes
from .processes import Processes
from .race import Race
from .tables import Row
from .workloads import ARMS, BY_DENSITY, HALF, OTHERS, ZOO, Ready, Workload, by_strategy, make_ready

pytestmark = pytest.mark.bench


DENSE = [(workload, 1.0) for workload in ZOO]
PRUNED = [(workload, density) for workload in BY_DENSITY for density in (0.5, 0.1)]


@pytest.mark.parametrize(("workload", "density"), [*DENSE, *PRUNED], ids=lambda value: getattr(value, "id", str(value)))
def test_strategies(workload: Workload, density: float, device: torch.device, race: Race, threads: int) -> None:
    if device.type == "cuda":
        workload = replace(workload, networks=2 * ARMS, batch_size=128, examples=20_000)
    chosen = make_ready(workload, density, device)
    possible = {name: ready for name in STRATEGIES if (ready := _planned(chosen, name))}
    measures = {name: stack(ready).lasting(race.lasting) for name, ready in possible.items()}
    if device.type == "cuda":
        measures["one at a time, tuned loop"] = tuned(chosen, threads).lasting(race.lasting)
    plan = chosen.setting.plan
    name = "sparse" if density <= plan.takes_over.get("sparse", 0.0) else plan.strategy  # as Plan.strategy_for
    seconds = race.run(name, {"floor": floor(chosen, threads), **measures})
    raced = [seconds[one] for one in possible]
    times = {"chosen": seconds.pop(name), **seconds, "best": [min(turn) for turn in zip(*raced, strict=True)]}
    row = f"{workload}, density {density} ({name}, {plan.lanes} lanes)"
    race.keep(Row(f"strategies, {device.type}", row, "chosen", times))


@pytest.mark.parametrize("networks", [6, 25])
@pytest.mark.parametrize("workload", OTHERS, ids=lambda value: value.id)
def test_vmap_or_a_loop(workload: Workload, networks: int, race: Race, threads: int, processes: Processes) -> None:
    """What is chosen for networks that both can train, against both and a tuned loop a core.

    The rule and its evidence are in tickets/stack/strategies/vectorised.py: what is chosen should not take longer than
    a tuned loop a core.
    """
    chosen = make_ready(replace(workload, networks=networks), HALF, torch.device("cpu"))
    name = chosen.setting.plan.strategy
    possible = {one: stack(by_strategy(chosen, one)).lasting(race.lasting) for one in ("vectorised", "looped")}
    loop = tuned_processes(chosen, HALF, processes).lasting(race.lasting)
    seconds = race.run(name, {"tuned loop a core": loop, **possible})
    times = {"chosen": seconds[name], **seconds}
    row = f"{chosen.workload} ({name})"
    race.keep(Row("vmap or a loop, cpu", row, "chosen", times))


def _planned(ready: Ready, strategy: str) -> Ready | None:
    try:
        return by_strategy(ready, strategy)
    except InputError:
        return None
