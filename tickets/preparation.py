"""A campaign made ready to train: everything that can be wrong with the input is known, and nothing is written yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tickets.checks import (
    check_folder,
    check_trained,
    find_data_folder,
    find_device,
    fit_all,
    guard_all,
    log_failures,
    networks_all,
    plan_all,
)
from tickets.config import Campaign, read_campaign
from tickets.errors import InputError, Problems
from tickets.fitting import Fitted
from tickets.importing import current_folder, importable
from tickets.network import Carried
from tickets.planning import Plan
from tickets.store import CohortPlan, missing

DEFAULT_FOLDER = Path("runs/saved")


def modules_of(campaign: str | Path | Mapping[str, Any] | Campaign) -> AbstractContextManager[None]:
    """A block in which the modules that a campaign names are found in the current folder and beside its file too."""
    beside = [Path(campaign).absolute().parent] if isinstance(campaign, str | Path) else []
    return importable(*current_folder(), *beside)


@dataclass(frozen=True)
class Prepared:
    """A campaign whose runs fit their data and have a plan. campaign: as resolved. Mappings are by run id."""

    campaign: Campaign
    folder: Path
    data_folder: Path | None
    device: torch.device
    fitted: Mapping[str, Fitted]
    plans: Mapping[str, Plan]
    networks: Mapping[str, Carried]
    todo: Mapping[str, tuple[CohortPlan, ...]]


def prepare(
    campaign: str | Path | Mapping[str, Any] | Campaign,
    *,
    out: str | Path | None,
    data: str | Path | None,
    settings: Sequence[str],
    device: str,
    workers: int,
    keep_failures: bool = False,
) -> Prepared:
    """Read a campaign, load its data, fit and plan its runs; the other parameters are those of `tickets.run`.

    keep_failures: write what fails in the user's code to the log of a run that is there already; else nothing is
    written. Raises InputError with everything that is wrong.
    """
    problems = Problems()
    try:
        return _prepared(problems, campaign, out, data, settings, device, workers)
    finally:
        if keep_failures:
            log_failures(problems)


def _prepared(
    problems: Problems,
    campaign: str | Path | Mapping[str, Any] | Campaign,
    out: str | Path | None,
    data: str | Path | None,
    settings: Sequence[str],
    device: str,
    workers: int,
) -> Prepared:
    with problems.noted():
        placed = find_device(device)
    with problems.noted():
        campaign = _read(campaign, settings)
    problems.raise_any()
    assert isinstance(campaign, Campaign)
    folder = Path(out) if out is not None else DEFAULT_FOLDER / campaign.name
    data_folder = find_data_folder(data, campaign)
    with problems.noted():
        check_folder(folder, campaign)
    campaign, fitted = fit_all(campaign, folder, data_folder, problems)
    problems.raise_any()
    todo = {}
    for name, one in fitted.items():
        with problems.noted():
            todo[name] = missing(one.run, folder / name)  # refuses what cannot be gone on with
            check_trained(folder / name, one, todo[name])
    sharing = max(1, min(workers, sum(map(len, todo.values()))))
    problems.raise_any()
    plans = plan_all(folder, fitted, placed, sharing, problems)
    networks = networks_all(folder, {name: fitted[name] for name in plans}, problems)
    problems.raise_any()
    trained = {name: plan for name, plan in plans.items() if todo[name]}
    plans |= guard_all(folder, trained, fitted, placed, sharing, problems)
    problems.raise_any()
    return Prepared(campaign, folder, data_folder, placed, fitted, plans, networks, todo)


def _read(campaign: str | Path | Mapping[str, Any] | Campaign, settings: Sequence[str]) -> Campaign:
    if not isinstance(campaign, Campaign):
        return read_campaign(campaign, settings)
    if settings:
        raise InputError("settings: go with a campaign file or a mapping, not with a Campaign")
    return campaign
