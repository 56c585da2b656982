"""Measure probes of saved runs after the fact, from what is stored. Committed folders stay as they are."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tickets.afterwards import Measured, is_measurable, measure_part
from tickets.checks import find_data_folder
from tickets.code_hashes import named_functions, source_hashes
from tickets.config import Run, parse_run, read_campaign
from tickets.continuing import check_data, check_tensors, networks_all
from tickets.errors import InputError, Problems, UserCodeError
from tickets.failures import calling_code_of
from tickets.fingerprint import fingerprint
from tickets.fitting import Fitted, fit
from tickets.importing import current_folder, importable
from tickets.machine import find_device, with_threads_here
from tickets.planning import Plan
from tickets.probes import Probe, probes_of, record_of
from tickets.process_state import one_campaign_at_a_time, standard_state
from tickets.ready import ready_run
from tickets.source import Source, load_source
from tickets.store import (
    Layout,
    Saved,
    check_measured,
    check_tables,
    cohort_folders,
    load,
    lock,
    read_manifest,
    read_run,
    round_folder,
    round_folders,
    run_folders,
    sweep_temporary,
    tables_of,
    write_tables,
)

ProbeName = str | Mapping[str, Any]
_STORE = 'set store.trained = "ticket" or "all" before training (values after training are never made up)'


@dataclass(frozen=True)
class Place:
    """A part of a round of a saved run: the cohort's folder, the round and the part."""

    cohort: Path
    number: int
    part: int


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


@dataclass(frozen=True)
class _Saved:
    """A saved run, with the probes in place of its own."""

    folder: Path
    file: Mapping[str, Any]
    run: Run
    probes: tuple[Probe, ...]
    todo: Mapping[str, Sequence[Place]]  # by table
    there: Mapping[str, Sequence[Place]]
    lacking: Mapping[str, Sequence[str]]  # by table, the arms of the parts of rounds without any value after training

    @property
    def name(self) -> str:
        return str(self.file.get("run", self.folder.name))


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
    tables = [_table(name) for name in ([names] if isinstance(names, str | Mapping) else names)]
    paths = run_folders(folder)
    if not paths:
        raise InputError(f"{folder}: no saved run in it (no */{Layout.RUN}); give a folder that `tickets run` wrote")
    if not tables:
        raise InputError("probe: names no probe; give one or more of `tickets list probes`, or module:function")
    place = find_device(device)
    trusted = {trust_code} if isinstance(trust_code, str) else trust_code
    campaign = _campaign_folder(folder)
    with (
        one_campaign_at_a_time(),
        importable(*current_folder()),
        lock(campaign, remedy=", and run the same command again"),
        standard_state(),
    ):
        sweep_temporary(campaign)
        saved, waiting = _surveyed(paths, tables, trusted)
        fitted = _fitted([one for one in saved if any(one.todo.values())], _data_folder(data, campaign))
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


def _surveyed(
    paths: Sequence[Path], tables: Sequence[Mapping[str, Any]], trusted: bool | Collection[str]
) -> tuple[list[_Saved], list[str]]:
    """Every run that has rounds, with what is to be measured of it, and the names of the runs that have none."""
    problems = Problems()
    saved, waiting = [], []
    for path in paths:
        with problems.collected():
            places = [
                Place(cohort, number, part)
                for _, cohort in cohort_folders(path)
                for number, part, _ in round_folders(cohort)
            ]
            if not places:
                waiting.append(path.name)
                continue
            saved.append(_survey(path, tables, trusted, places))
    problems.raise_any()
    if not saved:
        raise InputError(f"{paths[0].parent}: no round is committed yet; train it with `tickets run` first")
    return saved, waiting


def _survey(
    path: Path, tables: Sequence[Mapping[str, Any]], trusted: bool | Collection[str], places: Sequence[Place]
) -> _Saved:
    file = read_run(path)
    config = {key: value for key, value in file["config"].items() if key != "probes"}
    untrusted = [name for name in named_functions(config) if trusted is not True and name not in (trusted or ())]
    if untrusted:
        raise InputError(
            f"{path}: names code that is not part of tickets and that whoever wrote this folder could choose: "
            f"{', '.join(untrusted)}; it was not called. If you trust it: --trust-code (in Python trust_code=True)"
        )
    run = parse_run({**config, "probes": list(tables), "store": {**config["store"], "units": False}})
    probes = probes_of(run)
    check_measured(path, record_of(probes), {})
    if between := [one.name for one in probes if one.at_steps and one.every_step]:
        raise InputError(
            [
                f"probe {name!r}: needs the networks at every evaluated step, and those between the start and the end "
                f'are not stored; name it in the campaign file before training: probes = ["{name}"]'
                for name in between
            ]
        )
    todo: dict[str, list[Place]] = {}
    there: dict[str, list[Place]] = {}
    lacking: dict[str, list[str]] = {}
    tables_at = {place: tables_of(place.cohort, place.number, place.part) for place in places}
    for one in probes:
        with_table = [place for place in places if one.table in tables_at[place]]
        without = [place for place in places if place not in with_table]
        can = {place for place in without if is_measurable(one, place.cohort, place.number, place.part)}
        there[one.table], todo[one.table] = with_table, [place for place in without if place in can]
        lacking[one.table] = [arm for place in without if place not in can for arm in _arms(place)]
        if not with_table and not todo[one.table]:
            raise InputError(
                f"probe {one.name!r}: measures trained networks, and {path} has no values after training "
                f"(store.trained = {run.store.trained!r}); {_STORE}, and train in another folder (--out)"
            )
    return _Saved(path, file, run, probes, todo, there, lacking)


def _arms(place: Place) -> list[str]:
    """The arms of a part of a round."""
    return [entry["arm"] for entry in read_manifest(round_folder(place.cohort, place.number, place.part))["arms"]]


def _fitted(saved: Sequence[_Saved], data_folder: Path | None) -> dict[str, Fitted]:
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
            check_data(one.folder, found.source, one.file["data"]["sha256"])
            check_tensors(one.folder, found)
            columns = {probe.table: probe.columns for probe in found.probes}
            check_measured(one.folder, record_of(found.probes), columns)
            networks_all(one.folder.parent, {one.folder.name: found}, problems)
            fitted[one.name] = found
    problems.raise_any()
    return fitted


def _measure(saved: _Saved, fitted: Fitted | None, device: torch.device) -> Iterator[Probing]:
    """Measure what a run lacks and commit it, a part of a round at a time."""
    if fitted is None:
        for one in saved.probes:
            yield _probing(saved, one, {})
        return
    plan = with_threads_here(Plan.of_record(saved.file["execution"]), saved.run.compute.threads)
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
            measured = measure_part(ready, saved.name, place.cohort, place.number, place.part, one)
            record = record_of([one])
            check_tables(saved.folder, {one.table: measured.table}, record)
            write_tables(place.cohort, place.number, place.part, {one.table: measured.table}, record, **made_with)
            found[place] = measured
        yield _probing(saved, one, found)


def _probing(saved: _Saved, probe: Probe, found: Mapping[Place, Measured]) -> Probing:
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


def _table(name: ProbeName) -> dict[str, Any]:
    """A probe's table as a campaign file has it; a string that begins with a brace is read as TOML."""
    if isinstance(name, Mapping):
        return dict(name)
    if not name.lstrip().startswith("{"):
        return {"name": name}
    try:
        table = tomllib.loads(f"probe = {name}")["probe"]
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            f"probe {name}: not a TOML table ({error}); write '{{ name = \"sharpness\", examples = 500 }}'"
        ) from error
    return dict(table)


def _campaign_folder(folder: Path) -> Path:
    """The campaign's folder of a folder that may be one run's."""
    is_run = (folder / Layout.RUN).is_file()
    parent = folder.absolute().parent
    return parent if is_run and (parent / Layout.CAMPAIGN).is_file() else folder


def _data_folder(data: str | Path | None, campaign: Path) -> Path | None:
    """The folder from which data sets are read, as for a run of the campaign."""
    if (campaign / Layout.CAMPAIGN).is_file():
        return find_data_folder(data, read_campaign(campaign / Layout.CAMPAIGN))
    given = data or os.environ.get("TICKETS_DATA")
    return Path(given) if given else None
