"""Verify one cohort of a saved run: its files against their hashes, then their contents against the manifests."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tickets.errors import InputError
from tickets.roles import keeps_trained
from tickets.store import contents
from tickets.store.arrays import decode_shapes
from tickets.store.contents import Masks, Round, Values
from tickets.store.ends import state_names, state_problems, ticket_values
from tickets.store.finding import Finding, at, unreadable
from tickets.store.layout import Layout, probes_folders, round_folder, round_folders
from tickets.store.manifests import OTHER_FORM, Manifest, read_manifest
from tickets.store.own_models import own_model_problems
from tickets.store.probed import probed_problems
from tickets.store.reading import file_problem, read_checked, read_values
from tickets.store.shrunk_contents import following_shrunk, none_shrunk, shrunk_problems
from tickets.store.tables import SCHEMAS, probe_tables

_MOST_LOST = 100  # rounds that are listed one by one
_IN_VALUES = frozenset({Layout.VALUES})
_IN_ROUND = frozenset({Layout.MASKS, Layout.WEIGHTS, Layout.CURVES, Layout.ROUNDS})


@dataclass
class _Cohort:
    """Contents of earlier files that the checks of a cohort's later rounds use; None if those files are damaged."""

    run: str
    knows_starts: bool = True  # whether the configuration says what the tickets start from
    keeps_trained: bool = False
    goes_on: bool = False  # with the optimizer state of the round before
    states: frozenset[str] | None = None  # that its optimizer keeps of each parameter
    replicates: list[int] | None = None
    initial: Values | None = None
    rewound: Values | None = None
    shapes: dict[str, tuple[int, ...]] | None = None
    earlier: Masks | None = None
    announced: Masks | None = None
    of_round: Masks | None = None
    shrunk: Masks | None = None  # which pruned weights had shrunk, as far as the trained values of all rounds are there
    shrunk_next: Masks | None = None  # the same for the round after
    ended: Values | None = None  # of the ticket in the last whole round, where the next ticket keeps them
    trained: set[contents.Network] = field(default_factory=set)


def cohort_problems(cohort: Path, run: str, config: dict[str, Any]) -> Generator[Finding, None, list[int]]:
    """Yield the problems of a cohort, and return its replicates.

    Parameters
    ----------
    cohort
        Its folder.
    run
        The run's id.
    config
        The run's configuration; empty if it cannot be read. What it decides is not checked then.
    """
    rounds = round_folders(cohort)
    if not rounds and not (cohort / Layout.INITIAL).exists():
        return []
    state = _Cohort(run, bool(config), keeps_trained(config), _goes_on(config), state_names(config))
    yield from _values(cohort / Layout.INITIAL, state)
    state.initial = state.rewound
    step = config.get("rewind", {}).get("step", 0)
    if (cohort / Layout.REWIND).exists() or (step > 0 and rounds and not state.keeps_trained):
        yield from _values(cohort / Layout.REWIND, state)
    wholes = {number for number, part, _ in rounds if part == 0}
    lost = [
        number for number in range(max((number for number, _, _ in rounds), default=-1) + 1) if number not in wholes
    ]
    for number in lost[:_MOST_LOST]:
        yield Finding(str(round_folder(cohort, number)), "missing")
    if len(lost) > _MOST_LOST:
        yield Finding(str(cohort), f"and {len(lost) - _MOST_LOST:,} more rounds are missing")
    for number, part, folder in rounds:
        yield from _round(folder, number, part, state)
    for number, part, _, folder in probes_folders(cohort):
        yield from _probed(folder, number, part, run)
    return state.replicates or []


def _values(folder: Path, state: _Cohort) -> Iterator[Finding]:
    """Check initial/ or rewind/, and store its values in `state` for the checks of the rounds."""
    state.rewound = None
    manifest = yield from _files(folder, _IN_VALUES)
    if manifest is None:
        return
    try:
        values = read_values(folder)
        shapes = decode_shapes(read_checked(folder, Layout.VALUES, manifest))
        if manifest["kind"] != folder.name:
            yield Finding(str(folder / Layout.MANIFEST), f"is the manifest of {manifest['kind']!r}")
        if sorted(values) != sorted(manifest["replicates"]):
            yield Finding(str(folder / Layout.VALUES), f"replicates {sorted(values)}, not {manifest['replicates']}")
        if state.replicates is not None and sorted(values) != sorted(state.replicates):
            yield Finding(str(folder / Layout.VALUES), f"replicates {sorted(values)}, not {state.replicates}")
        for replicate, arrays in values.items():
            if {name: array.shape for name, array in arrays.items()} != shapes:
                yield Finding(str(folder / Layout.VALUES), f"replicate {replicate}: tensors are not of their shapes")
        state.rewound, state.shapes, state.replicates = values, shapes, list(manifest["replicates"])
        if Layout.OPTIMIZER in manifest["files"]:
            data = read_checked(folder, Layout.OPTIMIZER, manifest)
            problems = state_problems(data, state.states, state.replicates, {}, values)
            yield from at(folder / Layout.OPTIMIZER, problems)
    except OTHER_FORM as error:
        yield Finding(str(folder), f"the contents do not have the layout of saved runs ({error!r})")


def _round(folder: Path, number: int, part: int, state: _Cohort) -> Iterator[Finding]:
    if part == 0:
        state.earlier, state.of_round, state.trained = state.of_round if number else None, None, set()
    announced = state.announced
    if part == 0:
        state.announced = None
        state.shrunk, state.shrunk_next = state.shrunk_next if number else None, None
        if state.keeps_trained and number:
            state.rewound, state.ended = state.ended, None
    further = [(Layout.TRAINED, state.keeps_trained), (Layout.OPTIMIZER, state.goes_on)] if part == 0 else []
    manifest = yield from _files(folder, _IN_ROUND | {name for name, needed in further if needed})
    if manifest is None:
        return
    saved = Round(folder, manifest, state.run, number, part)
    try:
        yield from _manifest(saved, state)
        yield from _masks(saved, state, announced)
        yield from _shrunk(saved, state)
        yield from _networks(saved, state)
        for name in SCHEMAS:
            yield from at(folder / name, _decoded(contents.table_problems(saved, name)))
        yield from _probe_tables(saved)
    except OTHER_FORM as error:
        yield Finding(str(folder), f"the contents do not have the layout of saved runs ({error!r})")


def _probed(folder: Path, number: int, part: int, run: str) -> Iterator[Finding]:
    """Check tables that were measured after a round was committed."""
    manifest = yield from _files(folder, frozenset())
    if manifest is None:
        return
    try:
        problems = list(probed_problems(folder, manifest, number, part))
        yield from at(folder / Layout.MANIFEST, iter(problems))
        if problems:
            return
        saved = Round(folder, manifest, run, number, part)
        yield from _probe_tables(saved)
    except OTHER_FORM as error:
        yield Finding(str(folder), f"the contents do not have the layout of saved runs ({error!r})")


def _probe_tables(saved: Round) -> Iterator[Finding]:
    for table in probe_tables(saved.manifest["files"]):
        path = saved.folder / f"{table}{Layout.TABLE}"
        yield from at(path, _decoded(contents.probe_table_problems(saved, table)))


def _decoded(problems: Iterator[str]) -> Iterator[str]:
    """The problems of a table; why it cannot be decoded is one."""
    try:
        yield from problems
    except ValueError as error:
        yield str(error)


def _manifest(saved: Round, state: _Cohort) -> Iterator[Finding]:
    path = saved.folder / Layout.MANIFEST
    yield from at(path, contents.manifest_problems(saved, state.replicates))
    twice = saved.trained & state.trained
    if twice:
        yield Finding(str(path), f"{len(twice)} networks were trained in another part of the round too")
    state.trained |= saved.trained


def _masks(saved: Round, state: _Cohort, announced: Masks | None) -> Iterator[Finding]:
    path = saved.folder / Layout.MASKS
    masks = contents.read_masks(saved.read(Layout.MASKS))
    if saved.part == 0:
        of_round = contents.ticket_masks(masks)
        if state.earlier is not None:
            yield from at(path, contents.nesting_problems(of_round, state.earlier))
        if announced is not None:
            yield from at(path, contents.following_problems(of_round, announced))
        state.of_round = of_round
        if Layout.NEXT_MASKS in saved.manifest["files"]:
            following = contents.ticket_masks(contents.read_masks(saved.read(Layout.NEXT_MASKS)))
            yield from at(saved.folder / Layout.NEXT_MASKS, contents.nesting_problems(following, of_round))
            state.announced = following
    if state.of_round is not None:
        yield from at(path, contents.mask_problems(saved, masks, state.of_round))


def _shrunk(saved: Round, state: _Cohort) -> Iterator[Finding]:
    if saved.number == 0 and state.of_round is not None:
        state.shrunk = none_shrunk(state.of_round)
    if Layout.SHRUNK in saved.manifest["files"] and state.of_round is not None:
        found = contents.ticket_masks(contents.read_masks(saved.read(Layout.SHRUNK)))
        yield from at(saved.folder / Layout.SHRUNK, shrunk_problems(found, state.of_round, state.shrunk))
    elif any(entry.get("pruned") == "zero_if_shrunk" for entry in saved.manifest["arms"]):
        yield Finding(str(saved.folder / Layout.SHRUNK), "missing, though an arm has pruned = 'zero_if_shrunk'")


def _networks(saved: Round, state: _Cohort) -> Iterator[Finding]:
    masks = contents.read_masks(saved.read(Layout.MASKS))
    for name in (Layout.WEIGHTS, Layout.TRAINED):
        if name not in saved.manifest["files"]:
            continue
        path = saved.folder / name
        arrays = contents.networks(saved.read(name))
        check = contents.weights_problems if name == Layout.WEIGHTS else contents.trained_problems
        yield from at(path, check(saved, arrays))
        if state.shapes is not None and state.of_round is not None:
            yield from at(path, contents.value_problems(saved, arrays, masks, state.of_round, state.shapes))
            yield from at(path, own_model_problems(saved.manifest, arrays, state.of_round, state.shapes))
        if name == Layout.TRAINED and saved.part == 0:
            state.shrunk_next = following_shrunk(arrays, state.shrunk, state.initial, state.of_round, state.announced)
        # The dense network has the whole schedule: it starts from the initial values.
        starts = state.rewound if saved.number else state.initial
        known = state.knows_starts or saved.number == 0
        if name == Layout.WEIGHTS and known and starts is not None and state.of_round is not None:
            yield from at(path, contents.start_problems(arrays, state.of_round, starts))
        if name == Layout.TRAINED and saved.part == 0 and state.of_round is not None:
            state.ended = ticket_values(arrays, state.of_round)
    if Layout.OPTIMIZER in saved.manifest["files"] and state.initial is not None and state.of_round is not None:
        data = saved.read(Layout.OPTIMIZER)
        problems = state_problems(data, state.states, saved.replicates, state.of_round, state.initial)
        yield from at(saved.folder / Layout.OPTIMIZER, problems)


def _goes_on(config: dict[str, Any]) -> bool:
    """Whether each round saves the states in which its optimizers ended: fine-tuning, by an optimizer with a state."""
    return config.get("rewind", {}).get("kind") == "none" and bool(state_names(config))


def _files(folder: Path, needed: frozenset[str]) -> Generator[Finding, None, Manifest | None]:
    """Yield the problems of a committed folder's files; return its manifest, or None if there are any."""
    if not folder.is_dir():
        yield Finding(str(folder), "missing")
        return None
    try:
        manifest = read_manifest(folder)
    except InputError as error:
        yield unreadable(folder, Layout.MANIFEST, error)
        return None
    wrong = {name: file_problem(folder, name, manifest) for name in sorted({*manifest["files"], *needed})}
    there = {entry.name for entry in folder.iterdir()}
    wrong.update(dict.fromkeys(there - {*manifest["files"], Layout.MANIFEST}, "not in the manifest"))
    problems = [Finding(str(folder / name), what) for name, what in sorted(wrong.items()) if what]
    yield from problems
    return None if problems else manifest
