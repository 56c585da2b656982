"""What is looked at before a campaign writes anything, so that wrong input is refused whole."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tickets.config import Campaign, Run, read_campaign, resolved, run_id, with_validation
from tickets.config.tables import VALIDATION
from tickets.earlier import check_earlier
from tickets.errors import InputError, Problems, UserCodeError, nearest
from tickets.fitting import Fitted, fit
from tickets.guard import guarded
from tickets.network import Carried, Kept, carry_on, look_at
from tickets.planning import Plan, needs_initial, plan_execution
from tickets.probes import record_of
from tickets.source import Source, default_validation, load_source
from tickets.sources import named_functions
from tickets.stack.jit import OFF, jit_is_off
from tickets.store import (
    CohortPlan,
    Layout,
    append_event,
    check_measured,
    cohort_folder,
    cohort_folders,
    read_initial,
    read_manifest,
    read_run,
    round_folder,
    run_folders,
    survey,
)
from tickets.users_code import told, whole_traceback


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
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except OSError as error:
        raise InputError(f"{folder}: cannot be a folder ({error.strerror}); give another one (--out)") from error
    if not there.is_dir():
        raise InputError(f"{there}: is a file; give a folder for the campaign (--out)")
    if there != folder:
        return
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
    name = read_campaign(file).name
    if name != campaign.name:
        raise InputError(
            f"{folder}: holds the campaign {name!r}, not {campaign.name!r}; give another folder (--out), or the "
            "file of the campaign that is there"
        )


def find_data_folder(data: str | Path | None, campaign: Campaign) -> Path | None:
    """The folder that data sets are read from: as given, else the campaign's, else $TICKETS_DATA, else none."""
    given = data or campaign.data_folder or os.environ.get("TICKETS_DATA")
    return Path(given) if given else None


def fit_all(
    campaign: Campaign, folder: Path, data_folder: Path | None, problems: Problems
) -> tuple[Campaign, dict[str, Fitted]]:
    """The campaign as resolved, and its runs by id, fitted to their data; each data set is loaded once.

    folder: the campaign's, whose saved runs keep what they began with. What does not fit goes into `problems`.
    """
    sources: dict[str, Source] = {}
    runs: list[Run] = []
    fitted: dict[str, Fitted] = {}
    for one in campaign.runs:
        with problems.noted(), _calling_code_of(one, folder / run_id(one), problems):
            key = one.data.model_dump_json()
            if key not in sources:
                alike = [other for other in campaign.runs if other.data == one.data]
                sources[key] = load_source(one.data, data_folder, functools.partial(_held_out, folder, alike))
            run = with_validation(one, len(sources[key].examples.validation_labels))
            runs.append(run)
            if run_id(run) in fitted:
                raise InputError(f"sweep: two of its points are one run ({run_id(run)}); leave one out")
            fitted[run_id(run)] = fit(run, sources[key])
    return (resolved(campaign, runs) if len(runs) == len(campaign.runs) else campaign), fitted


def _held_out(folder: Path, runs: Sequence[Run], examples: int) -> int:
    """The default number of validation examples of runs that share a data set: all have the same.

    Runs that began when it was 1,000 whatever the size of the data set keep it.
    """
    began = any((folder / run_id(with_validation(run, VALIDATION)) / Layout.RUN).exists() for run in runs)
    return VALIDATION if began else default_validation(examples)


def plan_all(
    folder: Path, fitted: Mapping[str, Fitted], device: torch.device, workers: int, problems: Problems
) -> dict[str, Plan]:
    """How each run is computed: as it began, so that its bits stay the same."""
    plans = {}
    for name, one in fitted.items():
        with problems.noted(), _calling_code_of(one.run, folder / name, problems):
            saved = read_if_saved(folder / name)
            if saved is not None and saved["data"]["sha256"] != one.source.sha256:
                raise InputError(
                    f"{folder / name}: was trained on {one.source.name!r} with SHA-256 "
                    f"{saved['data']['sha256'][:12]}..., but the data there now has {one.source.sha256[:12]}...; "
                    "put the same data back, or use another folder (--out)"
                )
            if saved is not None:
                _check_tensors(folder / name, one)
                columns = {probe.table: probe.columns for probe in one.probes}
                check_measured(folder / name, record_of(one.probes), columns)
            if saved is not None and saved["config"]["compute"] == one.run.compute.model_dump(mode="json"):
                plans[name] = _with_initial(Plan.of_record(saved["execution"]), one, device, workers)
                if jit_is_off() and (plans[name].strategy == "sparse" or plans[name].sparse_up_to > 0):
                    raise InputError(f"{folder / name}: began with kernels, and goes on with them; {OFF}; unset it")
            else:
                plans[name] = plan_execution(one, device, workers)
    return plans


def _with_initial(plan: Plan, fitted: Fitted, device: torch.device, workers: int) -> Plan:
    """The plan as it was saved, with one for pruned weights that keep their initial values if the run needs it now."""
    if plan.pruned_initial is not None or not needs_initial(fitted.run):
        return plan
    return replace(plan, pruned_initial=plan_execution(fitted, device, workers).pruned_initial)


def networks_all(folder: Path, fitted: Mapping[str, Fitted], problems: Problems) -> dict[str, Carried]:
    """What run.json is to keep of each run's network; one that goes on as another network goes into `problems`."""
    carried = {}
    for name, one in fitted.items():
        with problems.noted(), _calling_code_of(one.run, folder / name, problems):
            saved, cohorts = read_if_saved(folder / name), survey(folder / name)
            first = next((cohort.index for cohort in cohorts if 0 in cohort.replicates), None)
            values = None if first is None else read_initial(cohort_folder(folder / name, first), 0)
            rounds = max((len(cohort.rounds) for cohort in cohorts), default=0)
            kept = Kept((saved or {}).get("began_with"), values, rounds)
            carried[name] = carry_on(kept, look_at(one), f"{name}: model {one.run.model.name!r}")
    return carried


@contextmanager
def _calling_code_of(run: Run, folder: Path, problems: Problems) -> Iterator[None]:
    """A block that calls the user's functions: what fails in them is a UserCodeError, kept in `problems.failures`."""
    try:
        yield
    except InputError as error:
        if isinstance(error, UserCodeError):
            problems.failures.append((folder, error))
        raise
    except (Exception, SystemExit) as error:
        functions = named_functions(run.model_dump(mode="json"))
        if not functions:
            raise  # a fault of this package, to be seen whole
        failed = UserCodeError(f"{', '.join(functions)}: failed: {told(error)}")
        failed.__cause__ = error
        problems.failures.append((folder, failed))
        raise failed from error


def log_failures(problems: Problems) -> None:
    """Write the tracebacks of what failed to the logs of the runs that are there already."""
    for folder, error in problems.failures:
        if (folder / Layout.RUN).is_file():
            with suppress(InputError, OSError):  # what failed is said in any case
                why, trace = error.problems[0], whole_traceback(error)
                append_event(folder / Layout.LOG, {"event": "failed", "why": why, "traceback": trace})


def check_trained(folder: Path, fitted: Fitted, todo: Sequence[CohortPlan]) -> None:
    """Whether the trained values are there that the arms which are still to train read.

    folder: the run's. Raises InputError if a committed round that one of them follows was saved without them.
    """
    readers = {label for label, arm in fitted.trial.arms.items() if arm.reads_trained}
    for cohort in todo:
        for plan in cohort.rounds:
            before = round_folder(cohort_folder(folder, cohort.index), plan.number - 1)
            reading = sorted(readers & {label for label, _ in plan.arms})
            if plan.number == 0 or not reading or not before.is_dir():
                continue
            if Layout.TRAINED not in read_manifest(before)["files"]:
                raise InputError(
                    f"arm {reading[0]!r}: its rules read the trained values of the round before (origin.trained), and "
                    f'{before} was saved without them (store.trained = "none"); train the campaign with '
                    'store.trained = "ticket" in another folder (--out)'
                )


def _check_tensors(folder: Path, fitted: Fitted) -> None:
    """Whether what is prunable now is what the saved rounds have masks of. Raises InputError if not."""
    now = {tensor.name for tensor in fitted.prunable}
    for _, cohort in cohort_folders(folder):
        if not round_folder(cohort, 0).is_dir():
            continue
        then: dict[str, int] = next(iter(read_manifest(round_folder(cohort, 0))["surviving"].values()), {})
        if set(then) != now:
            differ = ", ".join(sorted(set(then) ^ now))
            raise InputError(
                f"{folder}: has masks of {', '.join(sorted(then))}, but now {', '.join(sorted(now))} are prunable "
                f"(the difference: {differ}; frozen parameters no longer are); use another folder (--out)"
            )


def guard_all(
    folder: Path,
    plans: Mapping[str, Plan],
    fitted: Mapping[str, Fitted],
    device: torch.device,
    workers: int,
    problems: Problems,
) -> dict[str, Plan]:
    """Each run's plan with a strategy that trains the network as it is written; see guard.py. Compared once a run.

    A run that an earlier version began keeps its strategy, and no record: if its rounds are of another network than
    would be trained now, it cannot go on.
    """
    guarded_plans = {}
    for name, plan in plans.items():
        with problems.noted(), _calling_code_of(fitted[name].run, folder / name, problems):
            found = guarded(fitted[name], plan, device, workers)
            began = read_if_saved(folder / name)
            earlier = began is not None and "compared" not in began["execution"] and any(cohort_folders(folder / name))
            if earlier:
                check_earlier(folder / name, fitted[name], plan, found)
            guarded_plans[name] = replace(plan, pruned_initial=found.pruned_initial) if earlier else found
    return guarded_plans


def read_if_saved(folder: Path) -> dict[str, Any] | None:
    """What a run's run.json holds, if there is one."""
    return read_run(folder) if (folder / Layout.RUN).exists() else None
