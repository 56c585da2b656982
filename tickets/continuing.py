"""Plans and networks of all runs: those that a saved run began with, and the checks that it may go on with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tickets.current_network import current_network
from tickets.earlier import check_earlier
from tickets.errors import InputError, Problems
from tickets.failures import calling_code_of
from tickets.fitting import Fitted, but_for_its_seed
from tickets.guard import guarded
from tickets.network import Continued, SavedNetwork, continued
from tickets.planning import Plan, needs_initial, plan_execution, with_learned
from tickets.probes import record_of
from tickets.source import Source
from tickets.stack.jit import OFF, jit_is_off
from tickets.stack.strategies import strategy_named
from tickets.store import (
    CohortPlan,
    Layout,
    check_measured,
    cohort_folder,
    cohort_folders,
    read_initial,
    read_manifest,
    read_run,
    round_folder,
    survey,
    trusting_form,
)


def plan_all(
    folder: Path, fitted: Mapping[str, Fitted], device: torch.device, workers: int, problems: Problems
) -> dict[str, Plan]:
    """The plan of every run: how it is computed.

    A saved run goes on by the plan in its run.json, so that its bits stay the same, unless the campaign's [compute]
    table has changed since.

    Parameters
    ----------
    folder
        The campaign's folder.
    fitted
        The runs, by run id.
    device
        The device that trains.
    workers
        The number of processes that share the machine.
    problems
        Collects the errors.

    Returns
    -------
    dict
        The plans, by run id.
    """
    plans: dict[str, Plan] = {}
    new: dict[str, Plan] = {}  # of runs that differ in their seed alone
    for name, one in fitted.items():
        with problems.collected(), calling_code_of(one.run, folder / name, problems):
            saved = read_if_saved(folder / name)
            if saved is not None:
                check_data(folder / name, one.source, saved["data"]["sha256"])
                check_tensors(folder / name, one)
                columns = {probe.table: probe.columns for probe in one.probes}
                check_measured(folder / name, record_of(one.probes), columns)
            if saved is not None and saved["config"]["compute"] == one.run.compute.model_dump(mode="json"):
                with trusting_form(folder / name / Layout.RUN):
                    began = Plan.of_record(saved["execution"])
                    known = [strategy_named(strategy) for strategy in began.strategies]
                plans[name] = _with_initial(began, one, device, workers)
                if jit_is_off() and any(strategy.has_kernels for strategy in known):
                    raise InputError(f"{folder / name}: began with kernels, and goes on with them; {OFF}; unset it")
            else:
                key = but_for_its_seed(one.run)
                if key not in new:
                    new[key] = plan_execution(one, device, workers)
                plans[name] = new[key]
    return plans


def _with_initial(plan: Plan, fitted: Fitted, device: torch.device, workers: int) -> Plan:
    """A saved plan, with what arms need that were added: kept initial values of pruned weights, or learned masks."""
    plan = with_learned(plan, fitted, device)
    if plan.pruned_initial is not None or not needs_initial(fitted.run):
        return plan
    return replace(plan, pruned_initial=plan_execution(fitted, device, workers).pruned_initial)


def networks_all(
    folder: Path, fitted: Mapping[str, Fitted], problems: Problems, each: bool = True
) -> dict[str, Continued]:
    """What run.json is to keep of each run's network.

    Parameters
    ----------
    folder
        The campaign's folder.
    fitted
        The runs, by run id.
    problems
        Collects the errors; a run whose network is not the one that it began with is one.
    each
        Whether that of each run is wanted. Otherwise, of runs that are not saved and differ in their seed alone, one.

    Returns
    -------
    dict
        The networks, by run id.
    """
    networks = {}
    seen: set[str] = set()  # of runs that are not saved
    for name, one in fitted.items():
        with problems.collected(), calling_code_of(one.run, folder / name, problems):
            saved, cohorts = read_if_saved(folder / name), survey(folder / name)
            if saved is None and not cohorts and not each:
                key = but_for_its_seed(one.run)
                if key in seen:
                    continue
                seen.add(key)
            first = next((cohort.index for cohort in cohorts if 0 in cohort.replicates), None)
            values = None if first is None else read_initial(cohort_folder(folder / name, first), 0)
            rounds = max((len(cohort.rounds) for cohort in cohorts), default=0)
            before = SavedNetwork((saved or {}).get("began_with"), values, rounds)
            networks[name] = continued(before, current_network(one), f"{name}: model {one.run.model.name!r}")
    return networks


def guard_all(
    folder: Path,
    plans: Mapping[str, Plan],
    fitted: Mapping[str, Fitted],
    device: torch.device,
    workers: int,
    problems: Problems,
    each: bool = True,
) -> dict[str, Plan]:
    """The plans of all runs, each with a strategy that trains the network as it is written; see guard.py.

    Each run is compared with a plain loop once. A run that an earlier version began keeps its strategy and gets no
    record of the comparison.

    Parameters
    ----------
    folder
        The campaign's folder.
    plans
        The plans, by run id.
    fitted
        The runs, by run id.
    device
        The device that trains.
    workers
        The number of processes that share the machine.
    each
        Whether each run is compared. Otherwise one stands for all that differ from it in their seed alone: its plan is
        theirs too, but for the measured differences in `compared`.
    problems
        Collects the errors; a run of an earlier version whose rounds were trained as another network is one.

    Returns
    -------
    dict
        The plans, by run id.
    """
    guarded_plans = {}
    known: dict[tuple[str, str], Plan] = {}
    for name, plan in plans.items():
        with problems.collected(), calling_code_of(fitted[name].run, folder / name, problems):
            key = but_for_its_seed(fitted[name].run), repr(plan)
            if each or key not in known:
                known[key] = guarded(fitted[name], plan, device, workers)
            found = known[key]
            began = read_if_saved(folder / name)
            earlier = began is not None and "compared" not in began["execution"] and any(cohort_folders(folder / name))
            if earlier:
                check_earlier(folder / name, fitted[name], plan, found)
            guarded_plans[name] = replace(plan, pruned_initial=found.pruned_initial) if earlier else found
    return guarded_plans


def check_data(folder: Path, source: Source, sha256: str) -> None:
    """Check that a run's data set is the one that the run was trained on.

    Parameters
    ----------
    folder
        The run's folder.
    source
        The data set.
    sha256
        The SHA-256 that run.json has of it.

    Raises
    ------
    InputError
        If the data set has another one.
    """
    if source.sha256 != sha256:
        raise InputError(
            f"{folder}: was trained on {source.name!r} with SHA-256 {sha256[:12]}..., but the data there now has "
            f"{source.sha256[:12]}...; put the same data back, or use another folder (--out)"
        )


def check_trained(folder: Path, fitted: Fitted, todo: Sequence[CohortPlan]) -> None:
    """Check that the trained values are saved that the arms which are still to be trained read.

    Parameters
    ----------
    folder
        The run's folder.
    fitted
        The run.
    todo
        What it lacks.

    Raises
    ------
    InputError
        If a committed round that one of them follows was saved without trained values.
    """
    _check_shrunk(folder, fitted, todo)
    readers = {label for label, arm in fitted.trial.arms.items() if arm.reads_trained}
    for cohort in todo:
        for plan in cohort.rounds:
            before = round_folder(cohort_folder(folder, cohort.index), plan.number - 1)
            reading = sorted(readers & {label for label, _ in plan.arms})
            if plan.number == 0 or not reading or not before.is_dir():
                continue
            if Layout.TRAINED not in read_manifest(before)["files"]:
                raise InputError(
                    f"arm {reading[0]!r}: its rules read the trained values of the round before (origin.trained), and "
                    f'{before} was saved without them (store.trained = "none"); train the campaign with '
                    'store.trained = "ticket" in another folder (--out)'
                )


def _check_shrunk(folder: Path, fitted: Fitted, todo: Sequence[CohortPlan]) -> None:
    """As `check_trained`, for arms whose pruned weights are 0 if they had shrunk: of all rounds before."""
    arms = {arm.label for arm in fitted.run.arms if arm.entry.pruned == "zero_if_shrunk"}
    for cohort in todo:
        numbers = [plan.number for plan in cohort.rounds for label, _ in plan.arms if label in arms]
        for number in range(max(numbers, default=0)):
            before = round_folder(cohort_folder(folder, cohort.index), number)
            if before.is_dir() and Layout.TRAINED not in read_manifest(before)["files"]:
                raise InputError(
                    f"arm {min(arms)!r}: pruned = 'zero_if_shrunk' compares the trained values of every earlier round "
                    f'with theta0, and {before} was saved without them (store.trained = "none"); train the campaign '
                    'with store.trained = "ticket" in another folder (--out)'
                )


def read_if_saved(folder: Path) -> dict[str, Any] | None:
    """The content of a run's run.json; None if there is no such file."""
    return read_run(folder) if (folder / Layout.RUN).exists() else None


def check_tensors(folder: Path, fitted: Fitted) -> None:
    """Check that the tensors that are prunable now are those that the saved rounds have masks of.

    Parameters
    ----------
    folder
        The run's folder.
    fitted
        The run.

    Raises
    ------
    InputError
        If they are others.
    """
    now = {tensor.name for tensor in fitted.prunable}
    for _, cohort in cohort_folders(folder):
        if not round_folder(cohort, 0).is_dir():
            continue
        then: dict[str, int] = next(iter(read_manifest(round_folder(cohort, 0))["surviving"].values()), {})
        if set(then) != now:
            differ = ", ".join(sorted(set(then) ^ now))
            raise InputError(
                f"{folder}: has masks of {', '.join(sorted(then))}, but now {', '.join(sorted(now))} are prunable "
                f"(the difference: {differ}; frozen parameters no longer are); use another folder (--out)"
            )
