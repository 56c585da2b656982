"""A campaign from its file to its folder: what is missing is trained, what is there stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tickets.checks import check_folder, find_data_folder, find_device, fit_all, plan_all, read_if_saved
from tickets.cohort import CohortWork, steps_missing, train_cohort
from tickets.config import Campaign, Run, expand, read_campaign, run_id, to_toml
from tickets.errors import InputError, Problems
from tickets.fingerprint import fingerprint
from tickets.listener import Listener, Silence
from tickets.setting import Fitted, Plan, Setting, Source, fit, load_source, make_setting
from tickets.store import (
    Layout,
    Saved,
    append_event,
    load,
    lock,
    missing,
    replace_file,
    sweep_temporary,
    write_run,
)

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
    pieces = 0
    for name, one in runs.items():
        with problems.noted():
            pieces += len(missing(one, folder / name))  # refuses what cannot be gone on with
    plans = plan_all(folder, fitted, placed, max(1, min(workers, pieces)), problems)
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


@dataclass(frozen=True)
class Work:
    """A cohort's work with what a process needs to do it; crosses to other processes."""

    cohort: CohortWork
    plan: Plan
    data_folder: Path | None
    device: str


class Trainer:
    """Does one piece of work after another, keeping the last data set and run ready for the next piece."""

    def __init__(self, listener: Listener, fitted: Mapping[str, Fitted] | None = None) -> None:
        self._listener, self._fitted = listener, dict(fitted or {})
        self._ready: tuple[str, Setting] | None = None
        self._source: tuple[object, Source] | None = None

    def train(self, work: Work) -> str | None:
        """Do it; why it failed, or None. What stops every run (a full disk) is raised as InputError."""
        cohort = work.cohort
        log = cohort.folder / Layout.LOG
        append_event(log, {"event": "started", "cohort": cohort.cohort.index, "fingerprint": cohort.fingerprint})
        try:
            train_cohort(self._setting(work), cohort, self._listener.tick, self._listener.round_done)
        except KeyboardInterrupt:
            append_event(log, {"event": "interrupted", "cohort": cohort.cohort.index})
            raise
        except (InputError, BrokenPipeError):
            raise  # the disk is full, or whoever read the output has gone: not this run's failure
        except Exception as error:
            why = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            append_event(log, {"event": "failed", "cohort": cohort.cohort.index, "why": why})
            return why
        return None

    def _setting(self, work: Work) -> Setting:
        # Lanes share the threads out among them; inside a lane, kernels use what is left for each.
        torch.set_num_threads(max(1, work.plan.threads // work.plan.lanes))
        name = work.cohort.run_id
        if self._ready is None or self._ready[0] != name:
            self._ready = None  # let go of the last run's tensors before the next one's are made
            if name not in self._fitted:
                self._fitted = {name: fit(work.cohort.run, self._load(work))}
            self._ready = name, make_setting(self._fitted[name], work.plan, torch.device(work.device))
        return self._ready[1]

    def _load(self, work: Work) -> Source:
        config = work.cohort.run.data
        if self._source is None or self._source[0] != config:
            self._source = config, load_source(config, work.data_folder)
        return self._source[1]


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
        from tickets.workers import share_out

        reasons = share_out(works, workers, listener)
    return {name: why for name, why in reasons if why is not None}
