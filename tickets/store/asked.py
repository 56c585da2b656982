"""What the campaign.toml of a saved campaign asks for."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from tickets.config import Campaign, Run, RunParser, read_campaign, run_ids, with_validation
from tickets.errors import InputError
from tickets.store.layout import Layout, run_folders
from tickets.store.manifests import read_run


def asked_runs(folder: Path) -> dict[str, Run]:
    """The runs of a campaign folder's campaign.toml, by id; empty if there is no such file.

    A number of validation examples that depends on the data set is taken from the saved run.

    Parameters
    ----------
    folder
        The campaign's folder.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    campaign = saved_campaign(folder)
    return {} if campaign is None else runs_by_id(folder, campaign)


def runs_by_id(folder: Path, campaign: Campaign) -> dict[str, Run]:
    """The runs of a saved campaign by id, in its order; otherwise as `asked_runs`.

    Parameters
    ----------
    folder
        The campaign's folder.
    campaign
        What its campaign.toml holds.
    """
    runs = campaign.runs
    if any(run.data.validation is None for run in runs):
        saved = _by_id_but_for_validation(folder)
        alike = run_ids([with_validation(run, None) for run in runs])
        runs = tuple(
            saved.get(name, run) if run.data.validation is None else run for name, run in zip(alike, runs, strict=True)
        )
    return dict(zip(run_ids(runs), runs, strict=True))


def saved_campaign(folder: Path) -> Campaign | None:
    """The campaign of a campaign folder's campaign.toml; None if there is no such file.

    Parameters
    ----------
    folder
        The campaign's folder.

    Raises
    ------
    InputError
        If the file is damaged, or a link.
    """
    file = folder / Layout.CAMPAIGN
    if not os.path.lexists(file):
        return None
    if os.path.islink(file):
        raise InputError(f"{file}: is a link, and links within a saved campaign are not followed; put the file there")
    return read_campaign(file)


def run_config(run: Path) -> dict[str, Any]:
    """A run's configuration, as JSON values: from its run.json or, where that is damaged or lost, from campaign.toml.

    Parameters
    ----------
    run
        The run's folder.

    Returns
    -------
    dict
        Empty if neither can be read.
    """
    with suppress(InputError):
        config: dict[str, Any] = read_run(run)["config"]
        return config
    with suppress(InputError):
        if (asked := asked_runs(run.parent).get(run.name)) is not None:
            return asked.model_dump(mode="json")
    return {}


def _by_id_but_for_validation(folder: Path) -> dict[str, Run]:
    """The saved runs of a campaign's folder by the ids that they had with the default number of validation examples."""
    parser = RunParser()
    saved: list[Run] = []
    for path in run_folders(folder):
        with suppress(InputError):
            saved.append(parser.parse(read_run(path)["config"]))
    by_id: dict[str, Run] = {}
    for name, run in zip(run_ids([with_validation(run, None) for run in saved]), saved, strict=True):
        by_id.setdefault(name, run)
    return by_id
