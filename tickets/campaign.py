"""A campaign from its file to its folder: what is missing is trained, what is there stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tickets.checks import (
    check_folder,
    find_data_folder,
    find_device,
    fit_all,
    guard_all,
    plan_all,
    read_if_saved,
)
from tickets.cohort import CohortWork, steps_missing
from tickets.config import Campaign, Run, expand, read_campaign, run_id, to_toml
from tickets.errors import InputError, Problems
from tickets.fingerprint import fingerprint
from tickets.listener import Listener, Silence
from tickets.setting import Fitted, Plan
from tickets.store import (
    Layout,
    Saved,
    load,
    lock,
    missing,
    replace_file,
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
    campaign: str | Path | Campaign,
    out: str | Path | None = None,
    data: str | Path | None = None,
    *,
    settings: Sequence[str] = (),
    device: str = "cpu",
    workers: int = 1,
    listener: Listener | None = None,
) -> Saved:
    """Run, or go on with, a campaign, and return what is saved: what the command `tickets run` does.

    campaign: a campaign file, or a Campaign. out: its folder, default runs/saved/<name>. data: the data folder,
    default the campaign's, else $TICKETS_DATA. settings: "key=value" as for --set. device: "cpu" or "cuda".
    workers: processes that share out runs and cohorts. listener: is told what happens; default nobody.

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
    campaign: str | Path | Campaign,
    *,
    out: str | Path | None,
    data: str | Path | None,
    settings: Sequence[str],
    device: str,
    workers: int,
    listener: Listener,
) -> Outcome:
    """As `run`, but a run that fails does not stop the others: what failed is in the outcome."""
    problems = Problems()
    with problems.noted():
        placed = find_device(device)
    with problems.noted():
        campaign = _read(campaign, settings)
    problems.raise_any()
    assert isinstance(campaign, Campaign)
    folder = Path(out) if out is not None else DEFAULT_FOLDER / campaign.name
    data_folder = find_data_folder(data, campaign)
    runs = {run_id(one): one for one in expand(campaign)}
    with problems.noted():
        check_folder(folder, campaign)
    fitted = fit_all(runs, data_folder, problems)
    problems.raise_any()
    pieces: dict[str, int] = {}
    for name, one in runs.items():
        with problems.noted():
            pieces[name] = len(missing(one, folder / name))  # refuses what cannot be gone on with
    sharing = max(1, min(workers, sum(pieces.values())))
    plans = plan_all(folder, fitted, placed, sharing, problems)
    problems.raise_any()
    trained = {name: plan for name, plan in plans.items() if pieces[name]}
    plans |= guard_all(folder, trained, fitted, placed, sharing, problems)
    problems.raise_any()
    threads = torch.get_num_threads()
    try:
        with lock(folder):
            sweep_temporary(folder)
            _keep_file(folder / Layout.CAMPAIGN, to_toml(campaign).encode())
            # Asked again under the lock: until then another process may have been at work here.
            todo = {name: missing(one, folder / name) for name, one in runs.items()}
            works = []
            for name, one in runs.items():
                prints = fingerprint(placed, plans[name].threads)
                _keep_run(folder / name, fitted[name], plans[name], prints, listener if todo[name] else Silence())
                works += [
                    Work(CohortWork(one, name, folder / name, cohort, prints), plans[name], data_folder, str(placed))
                    for cohort in todo[name]
                ]
            steps = sum(steps_missing(work.cohort.run, work.cohort.cohort) for work in works)
            listener.begin(len(runs), steps, _rounds_there(runs, todo))
            failed = _train_all(works, fitted, workers, listener)
    finally:
        torch.set_num_threads(threads)
    return Outcome(folder, tuple(runs), failed)


def _read(campaign: str | Path | Campaign, settings: Sequence[str]) -> Campaign:
    if not isinstance(campaign, Campaign):
        return read_campaign(Path(campaign), settings)
    if settings:
        raise InputError("settings: go with a campaign file, not with a Campaign")
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
        "execution": plan.record(),
    }
    if saved is None or any(saved[key] != value for key, value in content.items()):
        for told in (plan.compared or {}).get("passed_over", ()):
            listener.say(f"{folder.name}: passed over, since a plain PyTorch loop differs: {told}")
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
