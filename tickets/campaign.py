"""A campaign from its file to its folder: what is missing is trained, what is there stays as it is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tickets.cohort import CohortWork, steps_missing, train_cohort
from tickets.config import Campaign, Run, expand, read_campaign, run_id, to_toml
from tickets.errors import InputError, nearest
from tickets.fingerprint import fingerprint
from tickets.report import Report, Silence
from tickets.setting import Fitted, Plan, Setting, Source, fit, load_source, make_setting, plan_execution
from tickets.store import (
    Layout,
    Saved,
    append_event,
    load,
    lock,
    missing,
    read_run,
    replace_file,
    run_folders,
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
    report: Report | None = None,
) -> Saved:
    """Run, or go on with, a campaign, and return what is saved: what the command `tickets run` does.

    campaign: a campaign file, or a Campaign. out: its folder, default runs/saved/<name>. data: the data folder,
    default the campaign's, else $TICKETS_DATA. settings: "key=value" as for --set. device: "cpu" or "cuda".
    workers: processes that share out runs and cohorts. report: is told what happens; default nobody.

    Raises InputError, listing everything that is wrong, before anything is written; RuntimeError if a run failed.
    """
    outcome = run_campaign(
        campaign,
        out=out,
        data=data,
        settings=settings,
        device=device,
        workers=workers,
        report=report or Silence(),
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
    report: Report,
) -> Outcome:
    """As `run`, but a run that fails does not stop the others: what failed is in the outcome."""
    if not isinstance(campaign, Campaign):
        campaign = read_campaign(Path(campaign), settings)
    elif settings:
        raise InputError("settings: go with a campaign file, not with a Campaign")
    folder = Path(out) if out is not None else DEFAULT_FOLDER / campaign.name
    placed = find_device(device)
    runs = {run_id(one): one for one in expand(campaign)}
    check_folder(folder, campaign)
    data_folder = _data_folder(data, campaign)
    fitted = _fit_all(runs, data_folder)
    todo = {name: missing(one, folder / name) for name, one in runs.items()}
    threads = torch.get_num_threads()
    try:
        with lock(folder):
            sweep_temporary(folder)
            replace_file(folder / Layout.CAMPAIGN, to_toml(campaign).encode())
            works = []
            for name, one in runs.items():
                plan = _open_run(folder / name, fitted[name], placed, workers, report)
                prints = fingerprint(placed, plan.threads)
                works += [
                    Work(CohortWork(one, name, folder / name, cohort, prints), plan, data_folder, str(placed))
                    for cohort in todo[name]
                ]
            steps = sum(steps_missing(work.cohort.run, work.cohort.cohort) for work in works)
            report.begin(len(runs), steps, _rounds_there(runs, todo))
            failed = _train_all(works, fitted, workers, report)
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

    def __init__(self, report: Report, fitted: Mapping[str, Fitted] | None = None) -> None:
        self._report, self._fitted = report, dict(fitted or {})
        self._ready: tuple[str, Setting] | None = None
        self._source: tuple[object, Source] | None = None

    def train(self, work: Work) -> str | None:
        """Do it; why it failed, or None. What stops every run (a full disk) is raised as InputError."""
        cohort = work.cohort
        log = cohort.folder / Layout.LOG
        append_event(log, {"event": "started", "cohort": cohort.cohort.index, "fingerprint": cohort.fingerprint})
        try:
            train_cohort(self._setting(work), cohort, self._report.tick, self._report.round_done)
        except KeyboardInterrupt:
            append_event(log, {"event": "interrupted", "cohort": cohort.cohort.index})
            raise
        except InputError:
            raise
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


def find_device(name: str) -> torch.device:
    """The device with this name. Raises InputError if there is no such device here."""
    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise InputError(f"--device = {name!r}: must be cpu or cuda{nearest(name, ('cpu', 'cuda'))}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"--device = {name!r}: this PyTorch ({torch.__version__}) finds no CUDA device here; use cpu, or install "
            "a CUDA build of PyTorch (see the README)"
        )
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"--device = {name!r}: must be cpu, cuda or cuda:0, cuda:1, ...") from error
    if kind == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise InputError(f"--device = {name!r}: there are {torch.cuda.device_count()} CUDA devices, from cuda:0")
    return device


def check_folder(folder: Path, campaign: Campaign) -> None:
    """Whether a campaign may be written to a folder: empty, not there yet, or holding this campaign already.

    Raises InputError if it holds another campaign, something else, or runs of another schema version.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file; give a folder for the campaign (--out)")
    file = folder / Layout.CAMPAIGN
    if not file.exists():
        others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        if others:
            raise InputError(
                f"{folder}: is not empty ({others[0]} ...) and holds no campaign; give an empty or new folder (--out)"
            )
        return
    for path in run_folders(folder):
        read_run(path)  # refuses another schema version
    there = read_campaign(file).name
    if there != campaign.name:
        raise InputError(
            f"{folder}: holds the campaign {there!r}, not {campaign.name!r}; give another folder (--out), or the "
            "file of the campaign that is there"
        )


def _data_folder(data: str | Path | None, campaign: Campaign) -> Path | None:
    given = data or campaign.data_folder or os.environ.get("TICKETS_DATA")
    return Path(given) if given else None


def _fit_all(runs: Mapping[str, Run], data_folder: Path | None) -> dict[str, Fitted]:
    """Every run with its data, each data set loaded once. Raises InputError with every problem of every run."""
    problems: dict[str, None] = {}
    sources: dict[str, Source] = {}
    fitted = {}
    for name, one in runs.items():
        key = one.data.model_dump_json()
        try:
            if key not in sources:
                sources[key] = load_source(one.data, data_folder)
            fitted[name] = fit(one, sources[key])
        except InputError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise InputError(list(problems))
    return fitted


def _open_run(folder: Path, fitted: Fitted, device: torch.device, workers: int, report: Report) -> Plan:
    """Write run.json, and say how the run is computed: as it began, so that its bits stay the same."""
    run, source = fitted.run, fitted.source
    saved = read_run(folder) if (folder / Layout.RUN).exists() else None
    config = run.model_dump(mode="json")
    if saved is not None and saved["data"]["sha256"] != source.sha256:
        raise InputError(
            f"{folder}: was trained on {source.name!r} with SHA-256 {saved['data']['sha256'][:12]}..., but the files "
            f"there now have {source.sha256[:12]}...; put the same files back, or use another folder (--out)"
        )
    if saved is not None and saved["config"]["compute"] == config["compute"]:
        plan = Plan(**saved["execution"])
    else:
        plan = plan_execution(fitted, device, workers)
    now = fingerprint(device, plan.threads)
    if saved is not None and saved["fingerprint"] != now:
        changed = ", ".join(_changes(saved["fingerprint"], now))
        report.say(f"{folder.name}: began elsewhere ({changed}); what is added may differ in the last bits")
    data = {
        "sha256": source.sha256,
        "input_shape": list(source.examples.input_shape),
        "classes": source.examples.classes,
    }
    write_run(folder, folder.name, config, data, saved["fingerprint"] if saved else now, asdict(plan))
    return plan


def _changes(then: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
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


def _train_all(works: Sequence[Work], fitted: Mapping[str, Fitted], workers: int, report: Report) -> dict[str, str]:
    """Do all the work, here or in other processes; why each run that failed did."""
    if workers == 1 or len(works) <= 1:
        trainer = Trainer(report, fitted)
        reasons = [(work.cohort.run_id, trainer.train(work)) for work in works]
    else:
        from tickets.workers import share_out

        reasons = share_out(works, workers, report)
    return {name: why for name, why in reasons if why is not None}
