"""Check a table and make a Run of it, or collect every error in it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from tickets.config.bounds import PROBLEMS
from tickets.config.chain_rules import with_rounds
from tickets.config.messages import LISTED, NAMED, SECTIONS, AsLine, Problem, count_of, problems_of, shown
from tickets.config.rules import broken_rules, flat
from tickets.config.schema import Run
from tickets.config.types import as_table
from tickets.config.untrusted import form_problems
from tickets.errors import InputError

_LISTS = {**{key: named for key, named in NAMED.items() if key in ("arms", "probes")}, **LISTED}  # of tables
_NAMED = "|".join(map(re.escape, sorted(NAMED, key=len, reverse=True)))
_NAME = re.compile(rf"(arms\[\d+\]\.score|{_NAMED})(?:\[(\d+)\])?\.name")


def parse_run(table: Mapping[str, Any], as_line: AsLine = Problem.line) -> Run:
    """The Run that a table describes.

    Parameters
    ----------
    table
        A campaign file's table without its sweep, or what a Run's model_dump returns.
    as_line
        Writes an error as a line of the InputError.

    Raises
    ------
    InputError
        With every error, up to bounds.PROBLEMS of them: those of single keys, then those of keys that do not go
        together, as far as these can be judged.
    """
    unbounded = [as_line(problem) for problem in itertools.islice(form_problems(table), PROBLEMS)]
    if unbounded:
        raise InputError(unbounded)
    table = with_rounds({key: _plain(value) for key, value in table.items()})
    try:
        return Run.model_validate(table)
    except ValidationError as error:
        count = count_of(error)
        found = list(itertools.islice(problems_of(error, table), PROBLEMS))
    if count > PROBLEMS:  # the rules would be judged by values that may be wrong
        lines = [as_line(_as_written(problem, table)) for problem in found]
        raise InputError([*lines, f"and {count - len(lines):,} more errors like these"])
    written = flat(table)
    values = {
        key: value
        for key, value in flat(_with_defaults(table)).items()
        if not any(_spoiled(key, problem.key) for problem in found)
    }
    found += [
        Problem(broken.key, shown(written.get(broken.key, values[broken.key])), broken.sentence, broken.beside)
        for broken in broken_rules(values)
    ]
    raise InputError([as_line(_as_written(problem, table)) for problem in found])


def _plain(value: Any) -> Any:
    """The plain tables for sections and arms that were made in Python."""
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.model_dump() if isinstance(value, BaseModel) else value


def _with_defaults(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table with the defaults that do not depend on other keys, and with tables for plain names."""
    # A quoted key with a dot in it is unknown; it must not be taken for the key of a section.
    full = {**_defaults(Run), **{key: value for key, value in table.items() if "." not in key}}
    for name, model in SECTIONS.items():
        given = table.get(name, {})
        full[name] = {**_defaults(model), **given} if isinstance(given, Mapping) else given
    for name, named in _LISTS.items():
        if isinstance(full[name], list | tuple):
            tables = [as_table(one) for one in full[name]]
            full[name] = [{**_defaults(named), **_given(one)} if isinstance(one, Mapping) else one for one in tables]
    return full


def _given(table: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of an arm or a probe that are given; None means that one is not."""
    return {key: value for key, value in table.items() if value is not None}


def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    found = {}
    for key, field in model.model_fields.items():
        if not field.default_factory_takes_validated_data:
            default = field.get_default(call_default_factory=True)
            if default is not PydanticUndefined:
                found[key] = _plain(default)
    return found


def _spoiled(key: str, wrong: str) -> bool:
    """Whether the value at `key` cannot be judged because of an error at `wrong`."""
    if key == wrong or key.startswith((f"{wrong}.", f"{wrong}[")):
        return True
    # A list of numbers is spoiled by one of them; arms and probes are judged one by one.
    return key not in _LISTS and wrong.startswith(f"{key}[")


def _as_written(problem: Problem, table: Mapping[str, Any]) -> Problem:
    """The error under the key that the file has: `data`, not `data.name`, if the short form was used."""
    place = _NAME.fullmatch(problem.key)
    if place is None:
        return problem
    written = flat(table).get(place[1])
    if place[2] is not None and isinstance(written, list | tuple):
        written = written[int(place[2])]
    return problem._replace(key=problem.key.removesuffix(".name")) if isinstance(written, str) else problem
