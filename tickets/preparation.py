"""A campaign made ready to train: its input is checked completely, and nothing is written yet."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tickets.checks import check_folder, find_data_folder, fit_all
from tickets.config import Campaign, read_campaign
from tickets.continuing import check_trained, guard_all, networks_all, plan_all
from tickets.errors import InputError, Problems
from tickets.failures import log_failures
from tickets.fitting import Fitted
from tickets.importing import current_folder
from tickets.machine import find_device
from tickets.network import Continued
from tickets.planning import Plan
from tickets.process_state import standard_state
from tickets.store import CohortPlan, Layout, check_whole, missing, run_folders
from tickets.transfer import check_transfer

DEFAULT_FOLDER = Path("runs/saved")
MODULES = "TICKETS_MODULES"  # an environment variable: a folder of the user's modules


def module_folders(campaign: str | Path | Mapping[str, Any] | Campaign) -> list[Path]:
    """The folders in which the modules that a campaign names are found, after those that Python searches.

    A job trains by a copy of its campaign file, in another folder: $TICKETS_MODULES names the one of the file.

    Parameters
    ----------
    campaign
        The path of a campaign file, its content, or a campaign.

    Returns
    -------
    list of Path
        The current folder, for a file its folder, and $TICKETS_MODULES; absolute paths.
    """
    beside = [Path(campaign).absolute().parent] if isinstance(campaign, str | Path) else []
    named = os.environ.get(MODULES)
    return [*current_folder(), *beside, *([Path(named).absolute()] if named else [])]


@dataclass(frozen=True)
class Prepared:
    """A campaign whose runs fit their data and have a plan.

    Parameters
    ----------
    campaign
        The campaign as resolved.
    folder
        Its folder.
    data_folder
        The folder from which data sets are read; None if there is none.
    device
        The device that trains.
    fitted
        The runs, by run id.
    plans
        How each run is computed, by run id.
    networks
        What run.json keeps of each run's network, by run id; see `prepare`'s `compare_each`.
    todo
        What each run lacks, by run id.
    recorded
        What the folder's campaign.toml and run.json files were when they were read; see `recorded_in`.
    """

    campaign: Campaign
    folder: Path
    data_folder: Path | None
    device: torch.device
    fitted: Mapping[str, Fitted]
    plans: Mapping[str, Plan]
    networks: Mapping[str, Continued]
    todo: Mapping[str, tuple[CohortPlan, ...]]
    recorded: Mapping[str, object]


def recorded_in(folder: Path) -> dict[str, object]:
    """The size and time of a folder's campaign.toml and of each run.json, which differ once one is replaced."""
    files = [folder / Layout.CAMPAIGN]
    if folder.is_dir():
        files += [path / Layout.RUN for path in run_folders(folder)]
    found = {str(file): file.stat() for file in files if file.is_file()}
    return {name: (one.st_size, one.st_mtime_ns) for name, one in found.items()}


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
        return _prepared(problems, campaign, out, data, settings, device, workers, gaps, compare_each)
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
    gaps: bool,
    compare_each: bool,
) -> Prepared:
    with problems.collected():
        placed = find_device(device)
    with problems.collected():
        campaign = read_or_take(campaign, settings)
    problems.raise_any()
    assert isinstance(campaign, Campaign)
    folder = folder_of(campaign, out)
    data_folder = find_data_folder(data, campaign)
    recorded = recorded_in(folder)
    with problems.collected():
        check_folder(folder, campaign, repair=gaps)
    campaign, fitted = fit_all(campaign, folder, data_folder, problems)
    problems.raise_any()
    todo = {}
    for name, one in fitted.items():
        with problems.collected():
            # raises for arms that were trained with other options
            todo[name] = missing(one.run, folder / name, gaps)
            check_trained(folder / name, one, todo[name])
            check_transfer(folder / name, one, todo[name])
    sharing = max(1, min(workers, sum(map(len, todo.values()))))
    problems.raise_any()
    plans = plan_all(folder, fitted, placed, sharing, problems)
    networks = networks_all(folder, {name: fitted[name] for name in plans}, problems, compare_each)
    problems.raise_any()
    for name, one in () if gaps else fitted.items():
        with problems.collected():
            check_whole(folder / name, one.run.model_dump(mode="json"), todo[name])
    problems.raise_any()
    trained = {name: plan for name, plan in plans.items() if todo[name]}
    plans |= guard_all(folder, trained, fitted, placed, sharing, problems, compare_each)
    problems.raise_any()
    return Prepared(campaign, folder, data_folder, placed, fitted, plans, networks, todo, recorded)


def folder_of(campaign: Campaign, out: str | Path | None) -> Path:
    """The folder of a campaign: `out`, or the default for its name."""
    return Path(out) if out is not None else DEFAULT_FOLDER / campaign.name


def read_or_take(campaign: str | Path | Mapping[str, Any] | Campaign, settings: Sequence[str]) -> Campaign:
    """The campaign that a file or mapping describes, changed by settings; a Campaign as it is."""
    if not isinstance(campaign, Campaign):
        return read_campaign(campaign, settings)
    if settings:
        raise InputError("settings: go with a campaign file or a mapping, not with a Campaign")
    return campaign
