"""A campaign's input, checked: its runs fit their data, and what each of them lacks is known. Nothing is written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tickets.checks import check_folder, find_data_folder, fit_all
from tickets.config import Campaign, read_campaign
from tickets.continuing import check_trained
from tickets.errors import InputError, Problems
from tickets.fitting import Fitted
from tickets.importing import current_folder
from tickets.machine import find_device
from tickets.store import CohortPlan, Layout, missing, run_folders
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


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A campaign whose runs fit their data.

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
    todo
        What each run lacks, by run id.
    sharing
        The number of processes that share the machine.
    gaps
        Whether rounds before the last may be missing, as after a repair.
    recorded
        What the folder's campaign.toml and run.json files were when they were read; see `recorded_in`.
    """

    campaign: Campaign
    folder: Path
    data_folder: Path | None
    device: torch.device
    fitted: Mapping[str, Fitted]
    todo: Mapping[str, tuple[CohortPlan, ...]]
    sharing: int
    gaps: bool
    recorded: Mapping[str, object]


def recorded_in(folder: Path, runs: Iterable[str] | None = None) -> dict[str, object]:
    """The size and time of a folder's campaign.toml and of each run.json, which differ once one is replaced.

    Parameters
    ----------
    folder
        The campaign's folder.
    runs
        The ids of the runs whose run.json is wanted; by default all.
    """
    there = [path.name for path in run_folders(folder)] if runs is None and folder.is_dir() else runs or ()
    files = [folder / Layout.CAMPAIGN, *(folder / name / Layout.RUN for name in there)]
    found = {str(file): file.stat() for file in files if file.is_file()}
    return {name: (one.st_size, one.st_mtime_ns) for name, one in found.items()}


def check(
    problems: Problems,
    campaign: str | Path | Mapping[str, Any] | Campaign,
    out: str | Path | None,
    data: str | Path | None,
    settings: Sequence[str],
    device: str,
    workers: int,
    gaps: bool,
) -> Checked:
    """Read a campaign, load its data, fit its runs to the data, and see what they lack.

    Parameters
    ----------
    problems
        Collects the errors, and raises them where nothing can follow.
    campaign, out, data, settings, device, workers
        See `tickets.run`.
    gaps
        Whether rounds before the last may be missing, as after a repair.

    Raises
    ------
    InputError
        With everything that is wrong with the input.
    """
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
    todo = lacking(problems, folder, fitted, gaps)
    problems.raise_any()
    return Checked(
        campaign=campaign,
        folder=folder,
        data_folder=data_folder,
        device=placed,
        fitted=fitted,
        todo=todo,
        sharing=max(1, min(workers, sum(map(len, todo.values())))),
        gaps=gaps,
        recorded=recorded,
    )


def lacking(
    problems: Problems, folder: Path, fitted: Mapping[str, Fitted], gaps: bool
) -> dict[str, tuple[CohortPlan, ...]]:
    """What each run lacks, by id.

    Parameters
    ----------
    problems
        Collects the errors, also those of what cannot be trained since something else was not saved.
    folder
        The campaign's folder.
    fitted
        The runs, by id.
    gaps
        Whether rounds before the last may be missing.
    """
    todo = {}
    for name, one in fitted.items():
        with problems.collected():
            # raises for arms that were trained with other options
            todo[name] = missing(one.run, folder / name, gaps)
            check_trained(folder / name, one, todo[name])
            check_transfer(folder / name, one, todo[name])
    return todo


def of_runs(checked: Checked, names: Sequence[str]) -> Checked:
    """A checked campaign with some of its runs alone."""
    fitted = {name: checked.fitted[name] for name in names}
    return replace(checked, fitted=fitted, todo={name: checked.todo[name] for name in names})


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
