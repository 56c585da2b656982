"""Measure probes of saved runs after the fact, from what is stored. Committed folders stay as they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tickets.afterwards import Measured, measure_part
from tickets.checks import find_data_folder
from tickets.code_hashes import source_hashes
from tickets.continuing import check_data, check_tensors, networks_all
from tickets.errors import InputError, Problems, UserCodeError
from tickets.failures import calling_code_of
from tickets.fingerprint import fingerprint
from tickets.fitting import Fitted, fit
from tickets.importing import current_folder, importable
from tickets.machine import find_device, with_threads_here
from tickets.planning import Plan
from tickets.probed_runs import Place, ProbeName, SavedRun, surveyed, table_of_probe
from tickets.probes import Probe, record_of
from tickets.process_state import one_campaign_at_a_time, standard_state
from tickets.ready import ready_run
from tickets.source import Source, load_source
from tickets.stack.strategies import strategy_named
from tickets.store import (
    Layout,
    Saved,
    check_cohorts,
    check_measured,
    check_tables,
    cohort_folders,
    load,
    run_folders,
    saved_campaign,
    tables_of,
    taken,
    trusting_form,
    write_tables,
)
from tickets.store.history import log_probes


@dataclass(frozen=True)
class Probing:
    """What was measured of one run by one probe.

    Parameters
    ----------
    run
        The run's id.
    probe
        The name of the probe.
    table
        The name of its table, for `Saved.probe`.
    rounds
        The rounds in which networks were measured now.
    networks
        The number of them.
    there
        The rounds that had the table already.
    at
        "the start and the end" of training for a probe that is called at evaluated steps, else "the end".
    left_out
        The arms of which a network was left out, because its values after training are not stored.
    start_only
        The arms that were measured before training only, for the same reason.
    """

    run: str
    probe: str
    table: str
    rounds: tuple[int, ...]
    networks: int
    there: tuple[int, ...]
    at: str
    left_out: tuple[str, ...]
    start_only: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """The result of `probe_folder`: what was measured, why runs failed (by run id), and the runs without any round."""

    measured: tuple[Probing, ...]
    failed: Mapping[str, str]
    waiting: tuple[str, ...] = ()


def probe(
    folder: str | Path,
    names: ProbeName | Sequence[ProbeName],
    data: str | Path | None = None,
    *,
    device: str = "cpu",
    trust_code: bool | Collection[str] = False,
) -> Saved:
    """Measure probes of saved runs from what is stored, as the command `tickets probe` does.

    Each committed round that lacks the probe's table gets it in a new folder beside it, `probes-NNN-000`; what is there
    already stays and is not measured again. Probes of trained networks measure the arms whose values after training are
    stored (`store.trained`); those that are called at evaluated steps measure the two ends of the training.

    Parameters
    ----------
    folder
        A campaign's folder, or one run's.
    names
        The probes: names of the catalogue, "module:function", or tables with options such as
        {"name": "sharpness", "examples": 500}, also as the text of a TOML table.
    data
        The data folder; by default the campaign's, else $TICKETS_DATA.
    device
        "cpu", "cuda" or "cuda:0", "cuda:1", ...
    trust_code
        Whether functions outside the catalogue that the saved runs name (models, data sets, losses, scores, rules of
        arms) may be imported and called, as for `tickets.load`. The probes that are named here may.

    Returns
    -------
    Saved
        The saved runs, as `tickets.load` gives them.

    Raises
    ------
    InputError
        If the input is wrong, if what a probe needs is not stored, or if data or model are not those of the run.
    RuntimeError
        If a probe failed in a run.
    """
    outcome = probe_folder(folder, names, data=data, device=device, trust_code=trust_code)
    if outcome.failed:
        raise RuntimeError("; ".join(f"{name} failed: {why}" for name, why in outcome.failed.items()))
    return load(folder, trust_code=trust_code)


def probe_folder(
    folder: str | Path,
    names: ProbeName | Sequence[ProbeName],
    *,
    data: str | Path | None = None,
    device: str = "cpu",
    trust_code: bool | Collection[str] = False,
    tell: Callable[[Probing], None] = lambda measured: None,
) -> Outcome:
    """Measure probes like `probe`, but without an error for a probe that fails: the outcome says which run failed.

    The parameters are those of `probe`; tell: called with what was measured, as each probe of a run is done.
    """
    folder = Path(folder)
    tables = [table_of_probe(name) for name in ([names] if isinstance(names, str | Mapping) else names)]
    paths = run_folders(folder)
    if not paths:
        raise InputError(f"{folder}: no saved run in it (no */{Layout.RUN}); give a folder that `tickets run` wrote")
    if not tables:
        raise InputError("probe: names no probe; give one or more of `tickets list probes`, or module:function")
    place = find_device(device)
    trusted = {trust_code} if isinstance(trust_code, str) else trust_code
    campaign = campaign_folder_of(folder)
    with (
        one_campaign_at_a_time(),
        importable(*current_folder()),
        standard_state(),
    ):
        saved, waiting = surveyed(paths, tables, trusted)
        fitted = _fitted([one for one in saved if any(one.todo.values())], data_folder_of(data, campaign))
        measured: list[Probing] = []
        failed: dict[str, str] = {}
        for one in saved:
            try:
                for found in _measure(one, fitted.get(one.name), place):
                    measured.append(found)
                    tell(found)
            except UserCodeError as error:
                failed[one.name] = error.problems[0]
    return Outcome(tuple(measured), failed, tuple(waiting))


def _fitted(saved: Sequence[SavedRun], data_folder: Path | None) -> dict[str, Fitted]:
    """The runs, fitted to their data; data, network and tensors are those that they were trained with."""
    problems = Problems()
    sources: dict[str, Source] = {}
    fitted: dict[str, Fitted] = {}
    for one in saved:
        with problems.collected(), calling_code_of(one.run, one.folder, problems):
            key = one.run.data.model_dump_json()
            if key not in sources:
                sources[key] = load_source(one.run.data, data_folder)
            found = fit(one.run, sources[key])
            _check_whole(one)
            check_data(one.folder, found.source, one.file["data"]["sha256"])
            check_tensors(one.folder, found)
            columns = {probe.table: probe.columns for probe in found.probes}
            check_measured(one.folder, record_of(found.probes), columns)
            networks_all(one.folder.parent, {one.folder.name: found}, problems)
            fitted[one.name] = found
    problems.raise_any()
    return fitted


def _check_whole(saved: SavedRun) -> None:
    """Raise InputError if a cohort of which something is to be measured is not as it was committed."""
    wanted = {place.cohort for places in saved.todo.values() for place in places}
    numbers = {index for index, cohort in cohort_folders(saved.folder) if cohort in wanted}
    advice = "nothing is measured of damaged rounds: take them from a backup (`tickets verify` lists all damage)"
    check_cohorts(saved.folder, saved.file["config"], numbers, advice)


def _measure(saved: SavedRun, fitted: Fitted | None, device: torch.device) -> Iterator[Probing]:
    """Measure what a run lacks and commit it, a part of a round at a time."""
    if fitted is None:
        for one in saved.probes:
            yield _probing(saved, one, {})
        return
    with trusting_form(saved.folder / Layout.RUN):
        plan = with_threads_here(Plan.of_record(saved.file["execution"]), saved.run.compute.threads)
        for strategy in plan.strategies:
            strategy_named(strategy)
    threads = max(1, plan.threads // plan.lanes)
    torch.set_num_threads(threads)
    ready = ready_run(fitted, plan, device)
    made_with = {
        "fingerprint": fingerprint(device, threads),
        "sources": source_hashes([one.name for one in fitted.probes if not one.is_own]),
    }
    for one in fitted.probes:
        found: dict[Place, Measured] = {}
        for place in saved.todo[one.table]:
            with taken(place.cohort) as lease:
                if one.table in tables_of(place.cohort, place.number, place.part):
                    continue  # another process has measured it meanwhile
                measured = measure_part(ready, saved.name, place.cohort, place.number, place.part, one)
                made, record = {one.table: measured.table}, record_of([one])
                check_tables(saved.folder, made, record)
                folder = write_tables(
                    place.cohort, place.number, place.part, made, record, permit=lease.check, **made_with
                )
                log_probes(folder)
            found[place] = measured
        yield _probing(saved, one, found)


def _probing(saved: SavedRun, probe: Probe, found: Mapping[Place, Measured]) -> Probing:
    def arms(of: Callable[[Measured], tuple[str, ...]]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(arm for measured in found.values() for arm in of(measured)))

    left_out = (*saved.lacking[probe.table], *arms(lambda measured: measured.left_out))
    return Probing(
        run=saved.name,
        probe=probe.name,
        table=probe.table,
        rounds=tuple(sorted({place.number for place in found})),
        networks=sum(measured.networks for measured in found.values()),
        there=tuple(sorted({place.number for place in saved.there[probe.table]})),
        at="the start and the end" if probe.at_steps else "the end",
        left_out=tuple(dict.fromkeys(left_out)),
        start_only=arms(lambda measured: measured.start_only),
    )


def campaign_folder_of(folder: Path) -> Path:
    """The campaign's folder of a folder that may be one run's."""
    is_run = (folder / Layout.RUN).is_file()
    parent = folder.absolute().parent
    return parent if is_run and (parent / Layout.CAMPAIGN).is_file() else folder


def data_folder_of(data: str | Path | None, campaign: Path) -> Path | None:
    """The folder from which data sets are read, as for a run of the campaign."""
    asked = saved_campaign(campaign)
    if asked is not None:
        return find_data_folder(data, asked)
    given = data or os.environ.get("TICKETS_DATA")
    return Path(given) if given else None
