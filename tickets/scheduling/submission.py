"""Submit what a campaign lacks to Slurm: an array whose elements are workers."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tickets.checked import Checked, module_folders, recorded_in
from tickets.config import Campaign, SubmitConfig, to_toml
from tickets.errors import InputError
from tickets.importing import importable
from tickets.opening import read_regular
from tickets.plurals import counted
from tickets.preparation import check_for_worker
from tickets.process_state import one_campaign_at_a_time, standard_state
from tickets.recording import record_campaign
from tickets.scheduling.element import Element
from tickets.scheduling.programs import ProgramError, UnansweredError, call, find
from tickets.scheduling.queue import live_elements
from tickets.scheduling.script import Job, check_paths, script_of
from tickets.scheduling.site import limits
from tickets.scheduling.submissions import MOST_ELEMENTS, Submitted, jobs_folder, parsed_id, record
from tickets.store import Layout, Lease, lock, missing, replace_file
from tickets.store.durable import make_folder
from tickets.store.refused import explained
from tickets.store.temporary import sweep

Live = Sequence[tuple[Submitted, Element]]


@dataclass(frozen=True)
class Asked:
    """What `tickets submit` is asked for, beside the campaign file.

    Parameters
    ----------
    out, data, settings, device
        See `tickets.run`.
    array, at_once, minutes
        In place of those of [submit]; None: those.
    options
        Further options of sbatch.
    """

    out: Path | None = None
    data: Path | None = None
    settings: Sequence[str] = ()
    device: str = "cpu"
    array: int | None = None
    at_once: int | None = None
    minutes: int | None = None
    options: Sequence[str] = ()


@dataclass(frozen=True)
class Submission:
    """What was submitted, or would be.

    Parameters
    ----------
    folder
        The campaign's folder.
    cohorts
        How many cohorts are to do.
    live
        How many elements of earlier submissions run or wait; None if squeue does not say.
    elements
        How many elements the new array has; 0 if none is needed.
    limit
        What keeps it from having one for each cohort; "" if nothing does.
    script
        The script; "" without elements.
    job
        The number of the job; "" if nothing was submitted.
    """

    folder: Path
    cohorts: int
    live: int | None
    elements: int
    limit: str = ""
    script: str = ""
    job: str = ""


def submit(
    campaign: Path | Campaign, asked: Asked, *, dry_run: bool = False, tell: Callable[[str], None] = lambda text: None
) -> Submission:
    """Submit as many elements as a campaign has cohorts to do, less those that already run or wait.

    The elements train a copy of the campaign file in jobs/, which no later edit of the file reaches.

    Parameters
    ----------
    campaign
        The path of a campaign file, or a campaign.
    asked
        What else is asked for.
    dry_run
        Whether nothing is submitted and written.
    tell
        Called with a line before this process waits for another one.

    Raises
    ------
    InputError
        If the input is wrong, with everything that is wrong; if jobs of another content of the campaign run or wait; or
        if Slurm does not take the job or does not answer.
    """
    if not dry_run:
        find("sbatch")
    folders = module_folders(campaign)
    modules = campaign.absolute().parent if isinstance(campaign, Path) else folders[-1]
    with one_campaign_at_a_time(), importable(*folders), standard_state():
        while True:
            ready = check_for_worker(
                campaign,
                out=asked.out,
                data=asked.data,
                settings=asked.settings,
                device=_device_here(asked.device),
                workers=1,
                keep_failures=False,
            )
            check_paths(
                ready.folder,
                {
                    "the current folder": Path.cwd(),
                    "the campaign file's folder": modules,
                    "--data": ready.data_folder,
                    "the Python interpreter": sys.executable,
                },
            )
            if dry_run:
                return _planned(ready, ready.todo, _live_if_known(ready.folder), asked, modules)
            with lock(ready.folder, tell) as lease:
                # Runs may begin meanwhile: what is to do is asked again.
                if not recorded_in(ready.folder, ()).items() <= ready.recorded.items():
                    continue  # another process has given the campaign another content
                return _submitted(ready, lease, asked, modules, tell)


def _submitted(ready: Checked, lease: Lease, asked: Asked, modules: Path, tell: Callable[[str], None]) -> Submission:
    folder = ready.folder
    todo = {name: missing(one.run, folder / name) for name, one in ready.fitted.items()}
    live = _live(folder)
    campaign = _campaign_file(ready)
    if any(todo.values()):
        _refuse_others(folder, live, campaign.name)
    planned = _planned(ready, todo, live, asked, modules)
    if not planned.elements:
        return planned
    record_campaign(folder, ready.campaign, ready.fitted, lease.check, tell, submitting=True)
    _write(folder, {campaign: _content(ready), jobs_folder(folder) / Layout.SCRIPT: planned.script.encode()}, lease)
    job, cluster = _sbatch(folder)
    record(folder, Submitted(job, cluster, planned.elements, campaign.name), sys.argv)
    return replace(planned, job=job)


def _planned(
    ready: Checked, todo: Mapping[str, Sequence[Any]], live: Live | None, asked: Asked, modules: Path
) -> Submission:
    """What is to be submitted, now that `todo` is to do and `live` elements run or wait."""
    given = {key: getattr(asked, key) for key in ("array", "at_once", "minutes")}
    submit = ready.campaign.submit.model_copy(update={key: one for key, one in given.items() if one is not None})
    cohorts, taken = sum(map(len, todo.values())), len(live or ())
    elements, limit = _count(cohorts, submit)
    elements = max(0, elements - taken)
    found = Submission(ready.folder, cohorts, None if live is None else taken, elements, limit)
    if not elements:
        return found
    job = Job(
        name=ready.campaign.name,
        cohorts=cohorts,
        elements=elements,
        asked=submit,
        options=asked.options,
        folder=ready.folder.absolute(),
        campaign=_campaign_file(ready).absolute(),
        submitted_in=Path.cwd(),
        modules=modules,
        data=None if ready.data_folder is None else ready.data_folder.absolute(),
        device=asked.device,
        python=sys.executable,
    )
    return replace(found, script=script_of(job))


def _count(cohorts: int, submit: SubmitConfig) -> tuple[int, str]:
    """(how many elements are wanted, what keeps them from being one for each cohort)."""
    most = {"one for each cohort": cohorts, "the most that are kept track of": MOST_ELEMENTS}
    if submit.array is not None:
        most["--array or submit.array"] = submit.array
    if cohorts:
        most |= {f"Slurm's {name} here": number for name, number in limits().items()}
    why = min(most, key=lambda name: most[name])
    if cohorts and not most[why]:
        raise InputError(f"{why} is 0: it takes no arrays; start workers in another way (tickets run FILE --worker)")
    return most[why], "" if most[why] == cohorts else why


def _live(folder: Path) -> Live:
    """The elements that run or wait, but for those that were cancelled and end in a moment."""
    return [(job, element) for job, element in live_elements(folder) if not job.cancelled]


def _live_if_known(folder: Path) -> Live | None:
    try:
        return _live(folder)
    except ProgramError:
        return None


def _refuse_others(folder: Path, live: Live, name: str) -> None:
    """Refuse to submit beside elements that train the campaign with another content."""
    others = [job.job for job, _ in live if job.campaign != name]
    if others:
        jobs = ", ".join(dict.fromkeys(others))
        raise InputError(
            f"{folder}: {counted(len(others), 'element')} running or waiting (jobs {jobs}), "
            f"with another content of the campaign; wait for the end, or end all with `tickets cancel {folder}`"
        )


def _campaign_file(ready: Checked) -> Path:
    """The copy of the campaign file in jobs/. Its name has a hash of its content, so that it never changes."""
    digest = hashlib.sha256(_content(ready)).hexdigest()[:10]
    return jobs_folder(ready.folder) / f"{ready.campaign.name}-{digest}.toml"


def _content(ready: Checked) -> bytes:
    # Without [submit], which changes nothing of what is trained.
    return to_toml(replace(ready.campaign, submit=SubmitConfig())).encode()


def _write(folder: Path, files: Mapping[Path, bytes], lease: Lease) -> None:
    jobs = jobs_folder(folder)
    try:
        make_folder(jobs)
    except OSError as error:
        raise explained(error, jobs / Layout.SCRIPT) or error from error
    if jobs.is_symlink():
        raise InputError(f"{jobs}: is a link, and links within a campaign's folder are not followed; move it away")
    sweep(jobs, lease.check)
    for path, content in files.items():
        with suppress(FileNotFoundError, InputError):
            if read_regular(path) == content:
                continue
        replace_file(path, content, lease.check)


def _sbatch(folder: Path) -> tuple[str, str]:
    """(number, cluster) of the job that runs the script."""
    look = "see `squeue --me` whether it was submitted"
    try:
        printed = call("sbatch", "--parsable", f"{Layout.JOBS}/{Layout.SCRIPT}", folder=folder)
    except UnansweredError as error:
        raise ProgramError(f"{error} ({look})") from None
    found = parsed_id(printed)
    if found is None:
        raise ProgramError(f"sbatch: printed {printed[:100]!r}, not the number of a job; {look}")
    return found


def _device_here(device: str) -> str:
    """The device with which the input is checked: a machine from which jobs are submitted need not have a GPU."""
    is_cuda = re.fullmatch(r"cuda(:\d{1,3})?", device) is not None
    return "cpu" if is_cuda and not torch.cuda.is_available() else device
