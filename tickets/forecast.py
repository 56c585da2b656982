"""What a campaign would train: trainings, steps, prunable tensors, memory and time. Nothing is trained or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tickets.checked import module_folders
from tickets.cohort import steps_missing
from tickets.config import Campaign
from tickets.coverage import Coverage
from tickets.errors import InputError
from tickets.estimate import estimate
from tickets.importing import importable
from tickets.planning import memory_needed, networks_in_lockstep
from tickets.preparation import Prepared, prepare
from tickets.process_state import one_campaign_at_a_time, standard_state
from tickets.store import CohortPlan, left_over, load, networks_of, run_folders, survey, wanted_arms
from tickets.transfer import expected_densities


@dataclass(frozen=True)
class Forecast:
    """What one run lacks, and what its training takes.

    Parameters
    ----------
    run
        The run's id.
    replicates, rounds
        The numbers that the campaign asks for; round 0 counts.
    densities
        The density of each round, from round 0 on.
    arms
        The number of draws by arm.
    trainings
        The number of networks that are missing.
    wanted
        The number of networks of the whole run.
    steps
        The training steps to take, summed over all missing networks.
    prunable
        The shape of each prunable tensor, by name.
    coverage
        The share of the network's weights that is prunable.
    strategy
        How the networks are computed.
    reason
        Why this strategy was chosen.
    networks_at_once
        The most networks that train at once in one process.
    memory
        The peak memory of a round in bytes, without the data, Python and PyTorch.
    seconds
        The time that the missing trainings take, from the mean of those that are saved; None if none is saved.
    left_over
        What is saved of the run and no longer in the campaign file, one line for each kind.
    beside
        For a run that the folder does not hold yet, the number of runs that it holds; 0 for others.
    estimated_seconds
        Where `seconds` is None: the time that the missing trainings take in one process, by timing a few training steps
        on this machine; None if none were timed, as for campaigns that are soon over.
    estimated_how
        How that is known, for the user; "" if it is None.
    """

    run: str
    replicates: int
    rounds: int
    densities: tuple[float, ...]
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
    beside: int
    estimated_seconds: float | None = None
    estimated_how: str = ""


def forecast(
    campaign: str | Path | Mapping[str, Any] | Campaign,
    *,
    out: str | Path | None,
    data: str | Path | None,
    settings: Sequence[str],
    device: str,
    workers: int,
) -> tuple[Path, list[Forecast]]:
    """What a campaign would train. Of runs that differ in their seed alone, one is compared with a plain loop.

    Parameters
    ----------
    campaign, out, data, settings, device, workers
        See `tickets.run`.

    Returns
    -------
    Path
        The campaign's folder.
    list of Forecast
        One for each run.

    Raises
    ------
    InputError
        With everything that is wrong with the input, as `tickets.run` would raise it.
    """
    with one_campaign_at_a_time(), importable(*module_folders(campaign)), standard_state():
        ready = prepare(
            campaign, out=out, data=data, settings=settings, device=device, workers=workers, compare_each=False
        )
        there = {path.name for path in run_folders(ready.folder)} if ready.folder.is_dir() else set()
        found = [_of_run(ready, name, 0 if name in there else len(there)) for name in ready.fitted]
        return ready.folder, _timed(ready, found)


def _timed(ready: Prepared, found: Sequence[Forecast]) -> list[Forecast]:
    """The forecasts, with an estimate of the time of those runs of which no training is saved."""
    unknown = {one.run: ready.todo[one.run] for one in found if one.seconds is None}
    if not unknown or (known := estimate(ready, unknown)) is None:
        return list(found)
    return [
        replace(one, estimated_seconds=known.seconds[one.run], estimated_how=known.how) if one.run in unknown else one
        for one in found
    ]


def _of_run(ready: Prepared, name: str, beside: int) -> Forecast:
    fitted, plan, todo = ready.fitted[name], ready.plans[name], ready.todo[name]
    run = fitted.run
    trainings = sum(len(cohort.replicates) * len(planned.arms) for cohort in todo for planned in cohort.rounds)
    return Forecast(
        run=name,
        replicates=run.replicates,
        rounds=run.rounds + 1,
        densities=expected_densities(fitted),
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
        beside=beside,
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
        return None  # nothing is saved of it, or it is damaged
    return float(each.mean()) * trainings if len(each) else None
