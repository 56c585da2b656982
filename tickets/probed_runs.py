"""Which rounds of saved runs lack the table of a probe, and whether enough is stored of them to measure it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickets.afterwards import is_measurable
from tickets.code_hashes import named_functions
from tickets.config import Run, parse_run
from tickets.config.toml_text import toml_of
from tickets.errors import InputError, Problems
from tickets.probes import Probe, probes_of, record_of
from tickets.store import (
    check_measured,
    cohort_folders,
    read_manifest,
    read_run,
    round_folder,
    round_folders,
    tables_of,
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
class SavedRun:
    """A saved run, with the probes that are to be measured in place of its own.

    Parameters
    ----------
    folder
        Its folder.
    file
        The content of its run.json.
    run
        Its configuration, with the probes.
    probes
        The probes.
    todo, there
        By table, the parts of rounds that can be measured and those that have the table.
    lacking
        By table, the arms of the parts of rounds of which no value after training is stored.
    """

    folder: Path
    file: Mapping[str, Any]
    run: Run
    probes: tuple[Probe, ...]
    todo: Mapping[str, Sequence[Place]]
    there: Mapping[str, Sequence[Place]]
    lacking: Mapping[str, Sequence[str]]

    @property
    def name(self) -> str:
        """The run's id."""
        return str(self.file.get("run", self.folder.name))


def surveyed(
    paths: Sequence[Path], tables: Sequence[Mapping[str, Any]], trusted: bool | Collection[str]
) -> tuple[list[SavedRun], list[str]]:
    """Every run that has rounds, with what is to be measured of it, and the names of the runs that have none.

    Parameters
    ----------
    paths
        The runs' folders.
    tables
        The probes, as a campaign file has them.
    trusted
        See `tickets.probe`.

    Raises
    ------
    InputError
        With everything that is wrong with the probes or the runs.
    """
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
) -> SavedRun:
    file = read_run(path)
    config = {key: value for key, value in file["config"].items() if key not in ("probes", "claim")}
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
    return SavedRun(path, file, run, probes, todo, there, lacking)


def _arms(place: Place) -> list[str]:
    """The arms of a part of a round."""
    return [entry["arm"] for entry in read_manifest(round_folder(place.cohort, place.number, place.part))["arms"]]


def table_of_probe(name: ProbeName) -> dict[str, Any]:
    """A probe's table as a campaign file has it; a string that begins with a brace is read as TOML."""
    if isinstance(name, Mapping):
        return dict(name)
    if not name.lstrip().startswith("{"):
        return {"name": name}
    try:
        table = toml_of(f"probe = {name}")["probe"]
    except InputError as error:
        raise InputError(
            f"probe {name}: not a TOML table ({error}); write '{{ name = \"sharpness\", examples = 500 }}'"
        ) from error
    return dict(table)
