"""A campaign made ready to train: each run has a plan and a network. Nothing is written yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tickets.checked import Checked, check, lacking, of_runs, recorded_in
from tickets.config import Campaign
from tickets.continuing import guard_all, networks_all, plan_all
from tickets.errors import Problems
from tickets.failures import log_failures
from tickets.fitting import but_for_its_seed
from tickets.network import Continued
from tickets.planning import Plan
from tickets.process_state import standard_state
from tickets.store import Layout, check_whole


@dataclass(frozen=True, kw_only=True)
class Prepared(Checked):
    """A campaign whose runs fit their data and have a plan.

    Parameters
    ----------
    plans
        How each run is computed, by run id.
    networks
        What run.json keeps of each run's network, by run id; see `prepare`'s `compare_each`.
    """

    plans: Mapping[str, Plan]
    networks: Mapping[str, Continued]


@standard_state()
def prepare(
    campaign: str | Path | Mapping[str, Any] | Campaign,
    *,
    out: str | Path | None,
    data: str | Path | None,
    settings: Sequence[str],
    device: str,
    workers: int,
    keep_failures: bool = False,
    gaps: bool = False,
    compare_each: bool = True,
) -> Prepared:
    """Read a campaign, load its data, fit its runs to the data, and plan them.

    Parameters
    ----------
    campaign, out, data, settings, device, workers
        See `tickets.run`.
    keep_failures
        Whether a failure of the user's code is written to the log of a run that is saved already. Otherwise nothing is
        written.
    gaps
        Whether rounds before the last may be missing, as after a repair.
    compare_each
        Whether each run has its network, and is compared with a plain loop, as before it is trained. Otherwise one
        stands for all that differ in their seed alone.

    Returns
    -------
    Prepared

    Raises
    ------
    InputError
        With everything that is wrong with the input.
    """
    problems = Problems()
    try:
        checked = check(problems, campaign, out, data, settings, device, workers, gaps)
        return _settled(problems, checked, compare_each)
    finally:
        if keep_failures:
            log_failures(problems)


@standard_state()
def check_for_worker(
    campaign: str | Path | Mapping[str, Any] | Campaign,
    *,
    out: str | Path | None,
    data: str | Path | None,
    settings: Sequence[str],
    device: str,
    workers: int,
    keep_failures: bool = True,
) -> Checked:
    """As `prepare`, for processes that share the runs, each of which settles a run when it takes it.

    Of the runs that lack something and differ in their seed alone, one is checked.

    Parameters
    ----------
    campaign, out, data, settings, device, workers
        See `tickets.run`.
    keep_failures
        See `prepare`.

    Raises
    ------
    InputError
        With everything that is wrong with the input, as far as it concerns those runs.
    """
    problems = Problems()
    try:
        checked = check(problems, campaign, out, data, settings, device, workers, gaps=False)
        # What is damaged concerns its run alone, and is found when that is taken.
        _settled(problems, of_runs(checked, _one_of_each_kind(checked)), whole=False)
    finally:
        if keep_failures:
            log_failures(problems)
    return checked


@standard_state()
def settle(checked: Checked, name: str) -> Prepared:
    """One run of a checked campaign, with what it lacks by now, its plan and its network.

    Raises
    ------
    InputError
        With everything that is wrong with the run.
    """
    problems = Problems()
    recorded = recorded_in(checked.folder, [name])
    one = of_runs(checked, [name])
    try:
        todo = lacking(problems, one.folder, one.fitted, one.gaps)
        problems.raise_any()
        return _settled(problems, replace(one, todo=todo, recorded=recorded))
    finally:
        log_failures(problems)


def settled_anew(ready: Prepared) -> Prepared | None:
    """A campaign with those runs settled again that other processes have begun since it was prepared.

    Returns
    -------
    Prepared or None
        None if campaign.toml was replaced: everything is to be prepared again.

    Raises
    ------
    InputError
        With everything that is wrong with one of those runs.
    """
    now, before = recorded_in(ready.folder), ready.recorded
    campaign = str(ready.folder / Layout.CAMPAIGN)
    if now.get(campaign) != before.get(campaign):
        return None
    names = {str(ready.folder / name / Layout.RUN): name for name in ready.fitted}
    for path in [path for path in names if now.get(path) != before.get(path)]:
        one = settle(ready, names[path])
        ready = replace(
            ready,
            todo={**ready.todo, **one.todo},
            plans={**ready.plans, **one.plans},
            networks={**ready.networks, **one.networks},
        )
    return replace(ready, recorded=now)


def _settled(problems: Problems, checked: Checked, compare_each: bool = True, whole: bool = True) -> Prepared:
    """All runs of a checked campaign, with their plans and networks.

    whole: whether what they go on from is checked to be as it was committed.
    """
    folder, fitted, todo, placed = checked.folder, checked.fitted, checked.todo, checked.device
    plans = plan_all(folder, fitted, placed, checked.sharing, problems)
    networks = networks_all(folder, {name: fitted[name] for name in plans}, problems, compare_each)
    problems.raise_any()
    for name, one in fitted.items() if whole and not checked.gaps else ():
        with problems.collected():
            check_whole(folder / name, one.run.model_dump(mode="json"), todo[name])
    problems.raise_any()
    trained = {name: plan for name, plan in plans.items() if todo[name]}
    plans |= guard_all(folder, trained, fitted, placed, checked.sharing, problems, compare_each)
    problems.raise_any()
    return Prepared(**{**vars(checked), "plans": plans, "networks": networks})


def _one_of_each_kind(checked: Checked) -> list[str]:
    """Of the runs that lack something, one of all that differ in their seed alone: one that has begun if there is."""
    kinds: dict[str, str] = {}
    for name, one in checked.fitted.items():
        kind = but_for_its_seed(one.run) if checked.todo[name] else None
        if kind is not None and (kind not in kinds or str(checked.folder / name / Layout.RUN) in checked.recorded):
            kinds[kind] = name
    return list(kinds.values())
