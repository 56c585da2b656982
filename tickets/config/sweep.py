"""Expand a table and a sweep into the runs of a campaign."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from tickets.config.bounds import DEPTH, PROBLEMS, WRONG_POINTS
from tickets.config.identity import IDENTITY_KEYS, run_ids
from tickets.config.messages import NAMED, SECTION_KEYS, TOP_KEYS, AsLine, Problem, dotted, shortened, shown
from tickets.config.repeated import RunParser
from tickets.config.schema import Run
from tickets.config.types import as_table, kind_of
from tickets.errors import InputError, first_of, nearest

Sweep = Mapping[str, tuple[Any, ...]]

_TABLES = tuple(f"{key}." for key in NAMED if key.partition(".")[0] in IDENTITY_KEYS)  # their keys can be swept


def runs_of(table: Mapping[str, Any], sweep: Sweep, as_line: AsLine = Problem.line) -> tuple[Run, ...]:
    """A Run for each point of a sweep over a table, the last key varying fastest.

    Parameters
    ----------
    table
        A campaign file's table without its sweep.
    sweep
        Values by dotted key.
    as_line
        Writes an error as a line of the InputError.

    Raises
    ------
    InputError
        With every error, each once; an error at some of the points names the first of them. Two points whose runs have
        the same id are an error too.
    """
    points = [dict(zip(sweep, values, strict=True)) for values in itertools.product(*sweep.values())]
    runs: list[Run] = []
    parser = RunParser(as_line)
    wrong: dict[str, list[dict[str, Any]]] = {}
    tried = failed = 0
    # Where many points are wrong, the last one stands for the rest.
    for point in points:
        if failed >= WRONG_POINTS and point is not points[-1]:
            continue
        tried += 1
        try:
            runs.append(parser.parse(_at(table, point, as_line)))
        except InputError as error:
            failed += 1
            for line in error.problems:
                wrong.setdefault(line, []).append(point)
    if wrong:
        lines = [line if len(at) == tried else _in_sweep(line, at[0]) for line, at in wrong.items()]
        raise InputError(first_of(lines, PROBLEMS + 1))  # the last may be the number of others, from parse_run
    same = [as_line(problem) for problem in itertools.islice(_same_runs(points, runs), PROBLEMS)]
    if same:
        raise InputError(same)
    return tuple(runs)


def first_point(sweep: Sweep) -> dict[str, tuple[Any, ...]]:
    """The sweep over its first point alone."""
    return {key: values[:1] for key, values in sweep.items()}


def read_sweep(written: Any) -> tuple[dict[str, tuple[Any, ...]], list[Problem]]:
    """The values of a file's `sweep` by dotted key, and the errors in it.

    A key may be quoted ("train.steps" = [...]) or not (train.steps = [...]).
    """
    if not isinstance(written, Mapping):
        problem = Problem("sweep", shown(written), f"must be a table of lists, not {kind_of(written)}")
        return {}, [problem]
    sweep: dict[str, tuple[Any, ...]] = {}
    problems = []
    for key, values in flat_sweep(written).items():
        at, sentence = dotted(("sweep", key)), _wrong_key(key)
        if sentence is not None:
            problems.append(Problem(at, "", sentence))
        elif not isinstance(values, list | tuple) or not values:
            kind = "an empty one" if isinstance(values, list | tuple) else kind_of(values)
            problems.append(Problem(at, shown(values), f"must be a list of values, not {kind}"))
        else:
            sweep[key] = tuple(values)
    return sweep, problems


def flat_sweep(written: Mapping[str, Any]) -> dict[str, Any]:
    """The sweep with a dotted key for each list, whether its keys were quoted or not."""
    return dict(_flattened(written))


def with_key(table: Mapping[str, Any], key: str, value: Any, as_line: AsLine = Problem.line) -> dict[str, Any]:
    """A copy of a table with a value at a dotted key; a plain name that stands for a table becomes one.

    Raises
    ------
    InputError
        If a part of the key before its last has a value that is not a table.
    """
    first, _, rest = key.partition(".")
    if not rest:
        return {**table, first: value}
    return {**table, first: _placed(table.get(first, {}), first, rest, value, as_line)}


def _placed(table: Any, at: str, key: str, value: Any, as_line: AsLine) -> dict[str, Any]:
    if at in NAMED:
        table = as_table(table)
    if not isinstance(table, Mapping):
        sentence = f"{at} = {shown(table)} is {kind_of(table)}, which has no keys"
        raise InputError(as_line(Problem(f"{at}.{key}", shown(value), sentence, (at,))))
    first, _, rest = key.partition(".")
    return {**table, first: _placed(table.get(first, {}), f"{at}.{first}", rest, value, as_line) if rest else value}


def _at(table: Mapping[str, Any], point: Mapping[str, Any], as_line: AsLine) -> dict[str, Any]:
    # `model` before `model.widths`, in any order of the sweep: the longer key refines the shorter.
    placed = dict(table)
    for key in sorted(point, key=lambda dotted_key: dotted_key.count(".")):
        placed = with_key(placed, key, point[key], as_line)
    return placed


def _flattened(written: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, values in written.items():
        if isinstance(values, Mapping):
            yield from ((f"{key}.{inner}", inner_values) for inner, inner_values in _flattened(values))
        else:
            yield key, values


def _wrong_key(key: str) -> str | None:
    sweepable = f"can be swept: {', '.join(sorted(IDENTITY_KEYS))}, and the keys in them"
    if key.count(".") >= DEPTH:
        return f"has too many parts; must be a key of at most {DEPTH} parts"
    known = (*TOP_KEYS, *SECTION_KEYS)
    first = key.partition(".")[0]
    if (key in known and first in IDENTITY_KEYS) or (all(key.split(".")) and key.startswith(_TABLES)):
        return None  # whether such a table has the key depends on its name
    if key in known:
        return (
            f"does not make separate runs, since it changes no ticket's numbers ({sweepable}); "
            f"give {key!r} one value, outside the sweep"
        )
    inside = [dotted_key for dotted_key in SECTION_KEYS if dotted_key.endswith(f".{key}")]
    return f"unknown key{nearest(inside[0], inside) if inside else nearest(key, known)} ({sweepable})"


def _same_runs(points: list[dict[str, Any]], runs: list[Run]) -> Iterator[Problem]:
    first: dict[str, dict[str, Any]] = {}
    for point, name in zip(points, run_ids(runs), strict=True):
        if name in first:
            both = f"{_described(first[name])} and {_described(point)}"
            sentence = f"{both} do not make separate runs (both are {name}); leave one out"
            yield Problem("sweep", "", sentence, tuple(f"sweep.{key}" for key in point))
        first.setdefault(name, point)


def _in_sweep(line: str, point: Mapping[str, Any]) -> str:
    return f"{line} (in the sweep, at {_described(point)})"


def _described(point: Mapping[str, Any]) -> str:
    return ", ".join(f"{shortened(key)} = {shown(value)}" for key, value in point.items())
