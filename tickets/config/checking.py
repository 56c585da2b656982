"""From a table to a Run, or to every problem in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from tickets.config.legal import as_table
from tickets.config.rules import broken_rules, flat
from tickets.config.schema import ArmConfig, Run
from tickets.config.telling import SECTIONS, Problem, Told, problems_of, shown
from tickets.errors import InputError


def parse_run(table: Mapping[str, Any], told: Told = Problem.line) -> Run:
    """The Run that a table describes: a campaign file's without its sweep, or what a Run's model_dump gives.

    told: makes a line of a problem. Raises InputError with every problem: those of single keys, then those of keys
    that do not go together, as far as these can be judged.
    """
    table = {key: _plain(value) for key, value in table.items()}
    try:
        return Run.model_validate(table)
    except ValidationError as error:
        found = list(problems_of(error))
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
    raise InputError([told(_as_written(problem, table)) for problem in found])


def _plain(value: Any) -> Any:
    """A section or a list of arms made in Python as the tables that they stand for."""
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.model_dump() if isinstance(value, BaseModel) else value


def _with_defaults(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table with the defaults that do not depend on other keys, and short forms written out."""
    full = {**_defaults(Run), **table}
    for name, model in SECTIONS.items():
        given = table.get(name, {})
        full[name] = {**_defaults(model), **given} if isinstance(given, Mapping) else given
    if isinstance(full["arms"], list | tuple):
        arms = [as_table(arm) for arm in full["arms"]]
        full["arms"] = [{**_defaults(ArmConfig), **arm} if isinstance(arm, Mapping) else arm for arm in arms]
    if isinstance(full["probes"], list | tuple):
        full["probes"] = [as_table(probe) for probe in full["probes"]]
    return full


def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    return {key: field.default for key, field in model.model_fields.items() if field.default is not PydanticUndefined}


def _spoiled(key: str, wrong: str) -> bool:
    """Whether the value at `key` cannot be judged because what is at `wrong` is wrong."""
    if key == wrong or key.startswith((f"{wrong}.", f"{wrong}[")):
        return True
    # A list of numbers is spoiled by one of them; the list of arms is judged arm by arm.
    return key != "arms" and wrong.startswith(f"{key}[")


def _as_written(problem: Problem, table: Mapping[str, Any]) -> Problem:
    """The problem under the key that the file has: `data`, not `data.name`, if the short form was used."""
    place = re.fullmatch(r"(data|model|model\.init|arms|probes)(?:\[(\d+)\])?\.name", problem.key)
    if place is None:
        return problem
    written = flat(table).get(place[1])
    if place[2] is not None and isinstance(written, list | tuple):
        written = written[int(place[2])]
    return problem._replace(key=problem.key.removesuffix(".name")) if isinstance(written, str) else problem
