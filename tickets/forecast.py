"""What a campaign would train, before it does: trainings, steps, prunable tensors, memory, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickets.cohort import steps_missing
from tickets.config import Campaign
from tickets.coverage import Coverage
from tickets.errors import InputError
from tickets.planning import memory_needed, networks_in_lockstep
from tickets.preparation import Prepared, modules_of, prepare
from tickets.process_state import standard_state
from tickets.store import CohortPlan, left_over, load, networks_of, survey, wanted_arms


@dataclass(frozen=True)
class Forecast:
    """What is still to train of one run.

    trainings, wanted: networks that are missing, and that there will be in all. steps: over all missing networks.
    prunable: the shape of each prunable tensor, by name. coverage: which of the network's weights they are.
    memory: bytes that a round takes, beside data, Python and PyTorch. seconds: that the missing trainings take, by the
    mean of those that are saved; None where none is. left_over: what is saved and no longer asked for.
    """

    run: str
    replicates: int
    rounds: int
    arms: Mapping[str, int]
    trainings: int
    wanted: int
    steps: int
    prunable: Mapping[str, tuple[int, ...]]
    coverage: Coverage
    strategy: str
    reason: str
    networks_at_once: int
    memory: int
    seconds: float | None
    left_over: Sequence[str]


@standard_state()
def forecast(
    campaign: str | Path | Mapping[str, Any] | Campaign,
    *,
    out: str | Path | None,
    data: str | Path | None,
    settings: Sequence[str],
    device: str,
    workers: int,
) -> tuple[Path, list[Forecast]]:
    """The campaign's folder, and what would be trained of each run; the parameters are those of `tickets.run`.

    Raises InputError with everything that is wrong, as a run would. Nothing is written.
    """
    with modules_of(campaign):
        ready = prepare(campaign, out=out, data=data, settings=settings, device=device, workers=workers)
        return ready.folder, [_of_run(ready, name) for name in ready.fitted]


def _of_run(ready: Prepared, name: str) -> Forecast:
    fitted, plan, todo = ready.fitted[name], ready.plans[name], ready.todo[name]
    run = fitted.run
    trainings = sum(len(cohort.replicates) * len(planned.arms) for cohort in todo for planned in cohort.rounds)
    return Forecast(
        run=name,
        replicates=run.replicates,
        rounds=run.rounds + 1,
        arms=_draws(wanted_arms(run)),
        trainings=trainings,
        wanted=run.replicates * (run.rounds + 1) * len(wanted_arms(run)),
        steps=sum(steps_missing(cohort, fitted.trial.starts) for cohort in todo),
        prunable={tensor.name: tensor.shape for tensor in fitted.prunable},
        coverage=fitted.coverage,
        strategy=plan.strategy,
        reason=plan.reason,
        networks_at_once=min(plan.networks_at_once, networks_in_lockstep(run)),
        memory=memory_needed(fitted, plan, ready.device),
        seconds=_seconds(ready.folder / name, todo, trainings),
        left_over=left_over(run, networks_of(survey(ready.folder / name))),
    )


def _draws(arms: Sequence[tuple[str, int]]) -> dict[str, int]:
    draws: dict[str, int] = {}
    for arm, _ in arms:
        draws[arm] = draws.get(arm, 0) + 1
    return draws


def _seconds(folder: Path, todo: Sequence[CohortPlan], trainings: int) -> float | None:
    if not todo:
        return 0.0
    try:
        each = load(folder).rounds["seconds"]
    except InputError:
        return None  # nothing is saved of it, or what is saved is damaged
    return float(each.mean()) * trainings if len(each) else None
