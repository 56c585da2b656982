"""The checks of a campaign's input before anything is written: its folder, its data, and what its runs are made of."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tickets.config import Campaign, Run, resolved, run_id, with_validation
from tickets.config.tables import VALIDATION
from tickets.errors import DiskError, InputError, Problems
from tickets.failures import calling_code_of
from tickets.fitting import Fitted, but_for_its_seed, fit
from tickets.source import Source, default_validation, load_source
from tickets.store import Layout, read_run, run_folders, saved_campaign
from tickets.store.begun import check_begun, lost_run_files, read_begun
from tickets.store.whole import name_problem


def check_folder(folder: Path, campaign: Campaign, repair: bool = False) -> None:
    """Check that a campaign may be written to a folder: one that is empty, does not exist, or holds this campaign.

    Parameters
    ----------
    folder
        The folder.
    campaign
        The campaign.
    repair
        Whether it may hold runs without a campaign.toml, which is then written anew.

    Raises
    ------
    InputError
        If the folder holds another campaign, anything else, or runs of another schema version.
    """
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except OSError as error:
        raise InputError(f"{folder}: cannot be a folder ({error.strerror}); give another one (--out)") from error
    if not there.is_dir():
        raise InputError(f"{there}: is a file; give a folder for the campaign (--out)")
    if there != folder:
        return
    saved = _saved_in(folder)
    if saved is None:
        others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        if others == [Layout.RUNS] and (begun := read_begun(folder)) is not None and not begun.runs:
            others = []  # left by a process that was killed as it began
        runs = [*run_folders(folder), *lost_run_files(folder)]
        if runs and not repair:
            raise InputError(
                f"{folder}: holds runs ({runs[0].name} ...) and no {Layout.CAMPAIGN}; take that from a backup, have it "
                "written anew (--repair), or give another folder (--out)"
            )
        if others and not runs:
            raise InputError(
                f"{folder}: is not empty ({others[0]} ...) and holds no campaign; give an empty or new folder (--out)"
            )
        return
    for path in folder.iterdir():
        if path.is_symlink() and (path / Layout.RUN).exists():
            raise InputError(
                f"{path}: is a link to a run, and links in a campaign's folder are not followed; move it away"
            )
    for path in run_folders(folder):
        if wrong := name_problem(path, read_run(path)["run"]):  # also raises for another schema version
            raise InputError(f"{path}: {wrong}")
    if not repair:
        check_begun(folder)
    _check_name(folder, saved.name, campaign)


def _saved_in(folder: Path) -> Campaign | None:
    try:
        return saved_campaign(folder)
    except DiskError:
        raise
    except InputError as error:
        file = folder / Layout.CAMPAIGN
        remedy = f"{file}: is damaged or of another version; take it from a backup, or have it written anew (--repair)"
        raise InputError([*error.problems, remedy]) from error


def check_not_another(folder: Path, campaign: Campaign) -> None:
    """Check that a folder does not hold another campaign, as far as can be known: its campaign.toml may be damaged.

    Parameters
    ----------
    folder
        The folder, which need not exist.
    campaign
        The campaign.

    Raises
    ------
    InputError
        If it does.
    """
    try:
        saved = saved_campaign(folder)
    except InputError:
        return
    if saved is not None:
        _check_name(folder, saved.name, campaign)


def _check_name(folder: Path, name: str, campaign: Campaign) -> None:
    if name != campaign.name:
        raise InputError(
            f"{folder}: holds the campaign {name!r}, not {campaign.name!r}; give another folder (--out), or the "
            "file of the campaign that is there"
        )


def find_data_folder(data: str | Path | None, campaign: Campaign) -> Path | None:
    """The folder from which data sets are read.

    Parameters
    ----------
    data
        The folder that the caller gave, if any.
    campaign
        The campaign, which may name one.

    Returns
    -------
    Path or None
        The first of `data`, the campaign's folder and $TICKETS_DATA; None if there is none of them.
    """
    given = data or campaign.data_folder or os.environ.get("TICKETS_DATA")
    return Path(given) if given else None


def fit_all(
    campaign: Campaign, folder: Path, data_folder: Path | None, problems: Problems
) -> tuple[Campaign, dict[str, Fitted]]:
    """Fit every run of a campaign to its data. Each data set is loaded once, and runs that differ in their seed alone
    are fitted once: whether a run fits does not depend on its seed, and the template of its network neither.

    Parameters
    ----------
    campaign
        The campaign.
    folder
        Its folder, whose saved runs keep the number of validation examples that they began with.
    data_folder
        The folder from which data sets are read.
    problems
        Collects the errors.

    Returns
    -------
    Campaign
        The campaign as resolved.
    dict
        The runs that fit, by run id.
    """
    sources: dict[str, Source] = {}
    runs: list[Run] = []
    fitted: dict[str, Fitted] = {}
    known: dict[str, Fitted | InputError] = {}
    for one in campaign.runs:
        with problems.collected(), calling_code_of(one, folder / run_id(one), problems):
            key = one.data.model_dump_json()
            if key not in sources:
                alike = [other for other in campaign.runs if other.data == one.data]
                sources[key] = load_source(one.data, data_folder, functools.partial(_validation, folder, alike))
            run = with_validation(one, len(sources[key].examples.validation_labels))
            runs.append(run)
            if run_id(run) in fitted:
                raise InputError(f"sweep: two of its points are one run ({run_id(run)}); leave one out")
            fitted[run_id(run)] = _fit_once(run, sources[key], known)
    return (resolved(campaign, runs) if len(runs) == len(campaign.runs) else campaign), fitted


def _fit_once(run: Run, source: Source, known: dict[str, Fitted | InputError]) -> Fitted:
    """As `fit`, from `known` if a run was fitted that differs from this one in its seed alone."""
    key = but_for_its_seed(run)
    if key not in known:
        try:
            known[key] = fit(run, source)
        except InputError as error:
            known[key] = error
    found = known[key]
    if isinstance(found, InputError):
        raise found
    return replace(found, run=run)


def _validation(folder: Path, runs: Sequence[Run], examples: int) -> int:
    """The default number of validation examples, one for all runs that share a data set of so many examples.

    Runs that began when it was 1,000 whatever the size of the data set keep that number.
    """
    began = any((folder / run_id(with_validation(run, VALIDATION)) / Layout.RUN).exists() for run in runs)
    return VALIDATION if began else default_validation(examples)
