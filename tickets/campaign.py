"""A campaign from its file to its folder: what is missing is trained, what is there stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tickets.checks import check_folder, find_data_folder, find_device, fit_all, plan_all, read_if_saved
from tickets.cohort import CohortWork, steps_missing
from tickets.config import Campaign, Run, read_campaign, to_toml
from tickets.errors import InputError, Problems
from tickets.fingerprint import fingerprint
from tickets.importing import current_folder, importable
from tickets.listener import Listener, Silence
from tickets.setting import Fitted, Plan
from tickets.store import (
    CohortPlan,
    Layout,
    Saved,
    left_over,
    load,
    lock,
    missing,
    networks_of,
    replace_file,
    run_folders,
    runs_left_over,
    survey,
    sweep_temporary,
    write_run,
)
from tickets.work import Trainer, Work
from tickets.workers import share_out

DEFAULT_FOLDER = Path("runs/saved")


@dataclass(frozen=True)
class Outcome:
    """What a campaign came to. runs: the ids of all its runs. failed: why, by the id of each run that failed."""

    folder: Path
    runs: tuple[str, ...]
    failed: Mapping[str, str]


def run(
    campaign: str | Path | Mapping[str, Any] | Campaign,
    out: str | Path | None = None,
    data: str | Path | None = None,
    *,
    settings: Sequence[str] = (),
    device: str = "cpu",
    workers: int = 1,
    listener: Listener | None = None,
) -> Saved:
    """Run, or go on with, a campaign, and return what is saved: what the command `tickets run` does.

    Parameters
    ----------
    campaign:
        The path of a campaign file, or what such a file holds as a mapping: plain dicts, lists and values.
    out:
        The campaign's folder; default: runs/saved/<name>.
    data:
        The data folder; default: the campaign's, else $TICKETS_DATA.
    settings:
        "key=value", as for --set.
    device:
        "cpu" or "cuda".
    workers:
        Processes that share out runs and cohorts.
    listener:
        Is told what happens; default: nobody.

    A user's own modules are found as Python finds any, then in the current folder, then beside the campaign file.
    Raises InputError, listing everything that is wrong, before anything is written; RuntimeError if a run failed.
    """
    outcome = run_campaign(
        campaign,
        out=out,
        data=data,
        settings=settings,
        device=device,
        workers=workers,
        listener=listener or Silence(),
    )
    if outcome.failed:
        raise RuntimeError("; ".join(f"{name} failed: {why}" for name, why in outcome.failed.items()))
    return load(outcome.folder)


def run_campaign(
    campaign: str | Path | Mapping[str, Any] | Campaign,
    *,
    out: str | Path | None,
    data: str | Path | None,
    settings: Sequence[str],
    device: str,
    workers: int,
    listener: Listener,
) -> Outcome:
    """As `run`, but a run that fails does not stop the others: what failed is in the outcome."""
    with modules_of(campaign):
        ready = prepare(campaign, out=out, data=data, settings=settings, device=device, workers=workers)
        return _train(ready, workers, listener)


def modules_of(campaign: str | Path | Mapping[str, Any] | Campaign) -> AbstractContextManager[None]:
    """A block in which the modules that a campaign names are found in the current folder and beside its file too."""
    beside = [Path(campaign).absolute().parent] if isinstance(campaign, str | Path) else []
    return importable(*current_folder(), *beside)


@dataclass(frozen=True)
class Prepared:
    """A campaign whose runs fit their data and have a plan; nothing is written of it. By run id.

    campaign: as resolved. todo: what is missing of each run.
    """

    campaign: Campaign
    folder: Path
    data_folder: Path | None
    device: torch.device
    fitted: Mapping[str, Fitted]
    plans: Mapping[str, Plan]
    todo: Mapping[str, tuple[CohortPlan, ...]]


def prepare(
    campaign: str | Path | Mapping[str, Any] | Campaign,
    *,
    out: str | Path | None,
    data: str | Path | None,
    settings: Sequence[str],
    device: str,
    workers: int,
) -> Prepared:
    """Read a campaign, load its data, fit and plan its runs; the parameters are those of `run`.

    Raises InputError with everything that is wrong. Nothing is written.
    """
    problems = Problems()
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
    pieces = sum(map(len, todo.values()))
    plans = plan_all(folder, fitted, placed, max(1, min(workers, pieces)), problems)
    problems.raise_any()
    return Prepared(campaign, folder, data_folder, placed, fitted, plans, todo)


def _train(ready: Prepared, workers: int, listener: Listener) -> Outcome:
    """Train what is missing of a campaign that is prepared."""
    folder, fitted, plans = ready.folder, ready.fitted, ready.plans
    runs = {name: one.run for name, one in fitted.items()}
    threads = torch.get_num_threads()
    try:
        with lock(folder):
            sweep_temporary(folder)
            _keep_file(folder / Layout.CAMPAIGN, to_toml(ready.campaign).encode())
            # Asked again under the lock: until then another process may have been at work here.
            todo = {name: missing(one, folder / name) for name, one in runs.items()}
            works = []
            for name, one in runs.items():
                prints = fingerprint(ready.device, plans[name].threads)
                _keep_run(folder / name, fitted[name], plans[name], prints, listener if todo[name] else Silence())
                works += [
                    Work(
                        CohortWork(one, name, folder / name, cohort, prints),
                        plans[name],
                        ready.data_folder,
                        str(ready.device),
                    )
                    for cohort in todo[name]
                ]
            for line in _left_over(folder, runs):
                listener.say(line)
            steps = sum(steps_missing(work.cohort.run, work.cohort.cohort) for work in works)
            listener.begin(len(runs), steps, _rounds_there(runs, todo))
            failed = _train_all(works, fitted, workers, listener)
    finally:
        torch.set_num_threads(threads)
    return Outcome(folder, tuple(runs), failed)


def _read(campaign: str | Path | Mapping[str, Any] | Campaign, settings: Sequence[str]) -> Campaign:
    if not isinstance(campaign, Campaign):
        return read_campaign(campaign, settings)
    if settings:
        raise InputError("settings: go with a campaign file or a mapping, not with a Campaign")
    return campaign


def _keep_run(folder: Path, fitted: Fitted, plan: Plan, now: Mapping[str, Any], listener: Listener) -> None:
    """Have run.json say what the campaign says now; the fingerprint in it stays that of the beginning."""
    examples, saved = fitted.source.examples, read_if_saved(folder)
    if saved is not None and saved["fingerprint"] != now:
        changed = ", ".join(_changes(saved["fingerprint"], now))
        listener.say(f"{folder.name}: began elsewhere ({changed}); what is added may differ in the last bits")
    content: dict[str, Any] = {
        "config": fitted.run.model_dump(mode="json"),
        "data": {
            "sha256": fitted.source.sha256,
            "input_shape": list(examples.input_shape),
            "classes": examples.classes,
        },
        "fingerprint": saved["fingerprint"] if saved else now,
        "execution": asdict(plan),
    }
    if saved is None or any(saved[key] != value for key, value in content.items()):
        write_run(folder, folder.name, **content)


def _keep_file(path: Path, content: bytes) -> None:
    """Have a file hold this content, without touching it if it does."""
    if not path.is_file() or path.read_bytes() != content:
        replace_file(path, content)


def _changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    changes: list[str] = []
    for key in {**then, **now}:
        old, new = then.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changes += _changes(old, new)
        elif old != new:
            changes.append(f"{key} {old}, now {new}")
    return changes


def _left_over(folder: Path, runs: Mapping[str, Run]) -> Iterator[str]:
    """What is saved and no longer in the campaign: a line a kind."""
    for name, one in runs.items():
        yield from (f"{name}: {line}" for line in left_over(one, networks_of(survey(folder / name))))
    yield from runs_left_over((path.name for path in run_folders(folder)), runs)


def _rounds_there(runs: Mapping[str, Run], todo: Mapping[str, Sequence[Any]]) -> int:
    """Rounds that need no training at all, over all runs."""
    return sum(
        one.rounds + 1 - len({plan.number for cohort in todo[name] for plan in cohort.rounds})
        for name, one in runs.items()
    )


def _train_all(works: Sequence[Work], fitted: Mapping[str, Fitted], workers: int, listener: Listener) -> dict[str, str]:
    """Do all the work, here or in other processes; why each run that failed did."""
    if workers == 1 or len(works) <= 1:
        trainer = Trainer(listener, fitted)
        reasons = [(work.cohort.run_id, trainer.train(work)) for work in works]
    else:
        reasons = share_out(works, workers, listener)
    return {name: why for name, why in reasons if why is not None}
