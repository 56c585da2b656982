"""A campaign from its file to its folder: what is missing is trained, what is there stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tickets.checks import read_if_saved
from tickets.cohort import CohortWork, steps_missing
from tickets.config import Campaign, Run, to_toml
from tickets.fingerprint import fingerprint
from tickets.fitting import Fitted
from tickets.foreword import foreword
from tickets.listener import Listener, Silence
from tickets.network import Carried
from tickets.planning import Plan
from tickets.preparation import Prepared, modules_of, prepare
from tickets.process_state import standard_state
from tickets.sources import named_functions, where_from
from tickets.store import (
    Layout,
    Saved,
    append_event,
    left_over,
    load,
    lock,
    missing,
    networks_of,
    register,
    replace_file,
    rounds_committed,
    run_folders,
    runs_left_over,
    survey,
    sweep_temporary,
    unmeasured,
    write_run,
)
from tickets.work import Trainer, Work
from tickets.workers import Staff, end_if_unguarded, hired, share_out


@dataclass(frozen=True)
class Outcome:
    """What a campaign came to.

    runs: the ids of all its runs. failed: why, by the id of each run that failed. functions: outside the catalogue
    that the campaign names, and so trusts.
    """

    folder: Path
    runs: tuple[str, ...]
    failed: Mapping[str, str]
    functions: tuple[str, ...] = ()


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

    What the process is set to (default dtype and device, gradients off, autocast, ...) neither matters nor changes, and
    the random number generators are left as they were. Several threads may call it: their campaigns are trained one
    after the other, each with the bits that it has alone.

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
    return load(outcome.folder, trust_code=outcome.functions)


@standard_state()
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
    end_if_unguarded()
    with modules_of(campaign):
        ready = prepare(
            campaign, out=out, data=data, settings=settings, device=device, workers=workers, keep_failures=True
        )
        return _train(ready, workers, listener)


def _train(ready: Prepared, workers: int, listener: Listener) -> Outcome:
    """Train what is missing of a campaign that is prepared."""
    folder, fitted, plans, networks = ready.folder, ready.fitted, ready.plans, ready.networks
    runs = {name: one.run for name, one in fitted.items()}
    named = [function for one in runs.values() for function in named_functions(one.model_dump(mode="json"))]
    functions = tuple(dict.fromkeys(named))
    if functions:
        listener.say(f"runs code of: {', '.join(where_from(functions))}")
    threads, pieces = torch.get_num_threads(), sum(map(len, ready.todo.values()))
    try:
        with hired(min(workers, pieces)) as staff, lock(folder):
            sweep_temporary(folder)
            _keep_file(folder / Layout.CAMPAIGN, to_toml(ready.campaign).encode())
            # Asked again under the lock: until then another process may have been at work here.
            todo = {name: missing(one, folder / name) for name, one in runs.items()}
            works = []
            for name, one in runs.items():
                prints = fingerprint(ready.device, plans[name].threads)
                _tell_changes(folder / name, networks[name], listener)
                told = listener if todo[name] else Silence()
                _keep_run(folder / name, fitted[name], plans[name], prints, networks[name], told)
                record = networks[name].record
                pieces_of = [CohortWork(one, name, (folder / name).absolute(), cohort, prints) for cohort in todo[name]]
                where = (ready.data_folder, str(ready.device))
                works += [Work(piece, plans[name], record, *where) for piece in pieces_of]
            for line in (*_left_over(folder, runs), *foreword([one for name, one in fitted.items() if todo[name]])):
                listener.say(line)
            steps = sum(steps_missing(work.cohort.cohort, fitted[work.cohort.run_id].trial.starts) for work in works)
            listener.begin(len(runs), steps, _rounds_there(runs, todo))
            failed = _train_all(works, fitted, staff, listener)
    finally:
        torch.set_num_threads(threads)
    return Outcome(folder, tuple(runs), failed, functions)


def _tell_changes(folder: Path, network: Carried, listener: Listener) -> None:
    """Say, and log, which source files of a run have been edited since they were last used."""
    for change in network.changed:
        listener.say(f"{folder.name}: {change}")
        append_event(folder / Layout.LOG, {"event": "source", **asdict(change)})


def _keep_run(
    folder: Path, fitted: Fitted, plan: Plan, now: Mapping[str, Any], network: Carried, listener: Listener
) -> None:
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
        "began_with": network.record,
        **({} if fitted.scale.accuracy == "accuracy" else {"accuracy": fitted.scale.accuracy}),
        "coverage": fitted.coverage.as_json(),
        "like_ticket": list(fitted.trial.like_ticket),
        "starts": {**(saved or {}).get("starts", {}), **fitted.trial.recorded_starts()},
        "registered": register(
            (saved or {}).get("registered", ()), fitted.run.verdict.model_dump(mode="json"), rounds_committed(folder)
        ),
    }
    # A field that a later version wrote, or a second writer of this file, stays.
    there = {key: value for key, value in (saved or {}).items() if key not in ("schema", "run")}
    if {**there, **content} != there:
        for told in (plan.compared or {}).get("passed_over", ()):
            listener.say(f"{folder.name}: passed over, since a plain PyTorch loop differs: {told}")
        write_run(folder, folder.name, **{**there, **content})


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
    """What is saved and no longer in the campaign, and what committed rounds lack: a line a kind."""
    for name, one in runs.items():
        yield from (f"{name}: {line}" for line in left_over(one, networks_of(survey(folder / name))))
        yield from (f"{name}: {line}" for line in unmeasured(one, folder / name))
    yield from runs_left_over((path.name for path in run_folders(folder)), runs)


def _rounds_there(runs: Mapping[str, Run], todo: Mapping[str, Sequence[Any]]) -> int:
    """Rounds that need no training at all, over all runs."""
    return sum(
        one.rounds + 1 - len({plan.number for cohort in todo[name] for plan in cohort.rounds})
        for name, one in runs.items()
    )


def _train_all(works: Sequence[Work], fitted: Mapping[str, Fitted], staff: Staff, listener: Listener) -> dict[str, str]:
    """Do all the work, here or in other processes; why each run that failed did."""
    if not staff or len(works) <= 1:
        trainer = Trainer(listener, fitted)
        reasons = [(work.cohort.run_id, trainer.train(work)) for work in works]
    else:
        reasons = share_out(works, staff, listener)
    return {name: why for name, why in reasons if why is not None}
