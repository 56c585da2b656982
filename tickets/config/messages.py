"""Error messages: what pydantic reports, in the terms of a campaign file.

Each message names the key as the file has it, its value, what is allowed, and the nearest name that exists.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tickets.config.bounds import NAME_SHOWN
from tickets.config.claims import ClaimConfig
from tickets.config.named import Named
from tickets.config.own_train import FIXED_KEYS, OWN_KEYS
from tickets.config.schema import FileSections, Run
from tickets.config.signatures import options_of
from tickets.config.tables import ArmConfig, DataConfig, InitConfig, ModelConfig, ProbeConfig, ScoreConfig
from tickets.config.types import ILLEGAL, UNKNOWN, as_table, kind_of, listed
from tickets.errors import nearest


def _sections(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    return {
        name: field.annotation
        for name, field in model.model_fields.items()
        if isinstance(field.annotation, type)
        and issubclass(field.annotation, BaseModel)
        and not issubclass(field.annotation, Named)
    }


SECTIONS: Mapping[str, type[BaseModel]] = _sections(Run)
FILE_SECTIONS: Mapping[str, type[BaseModel]] = _sections(FileSections)  # the file's and not a run's
NAMED: Mapping[str, type[Named]] = {
    "data": DataConfig,
    "model": ModelConfig,
    "model.init": InitConfig,
    "prune.score": ScoreConfig,
    "arms": ArmConfig,
    "arms.score": ScoreConfig,
    "probes": ProbeConfig,
}
FILE_KEYS = ("data_folder", *FILE_SECTIONS, "sweep")  # the file's and not a run's
TOP_KEYS = (*Run.model_fields, *FILE_KEYS)
LISTED: Mapping[str, type[BaseModel]] = {"claim": ClaimConfig}  # lists of tables without a function's name
_SECTIONS = {**SECTIONS, **FILE_SECTIONS}
_EVERY_SECTION = {**_SECTIONS, **LISTED}
SECTION_KEYS = tuple(f"{section}.{key}" for section, model in _SECTIONS.items() for key in model.model_fields)

Place = tuple[int | str, ...]
AsLine = Callable[["Problem"], str]  # writes an error as a line of an InputError


class Problem(NamedTuple):
    """One error.

    Parameters
    ----------
    key
        The dotted key.
    value
        Its value as it is shown, "" for none.
    sentence
        What is wrong and what is allowed.
    beside
        Other keys whose values the sentence takes as given.
    """

    key: str
    value: str
    sentence: str
    beside: tuple[str, ...] = ()

    def line(self) -> str:
        """`train.steps = "many": must be a whole number, not a string`."""
        key = shortened(self.key)
        return f"{key} = {self.value}: {self.sentence}" if self.value else f"{key}: {self.sentence}"


def shown(value: Any, room: int = 60) -> str:
    """A value on one line, much as a campaign file has it, cut to `room` characters."""
    literal = isinstance(value, str | bool | list | tuple | dict)
    return _cut(json.dumps(_first_of(value, room), ensure_ascii=False, default=str) if literal else str(value), room)


def shortened(key: str) -> str:
    """A key or a name as it is shown: cut, and with its length, if nobody would read it to its end."""
    return key if len(key) <= NAME_SHOWN else f"{key[:NAME_SHOWN]}... ({len(key):,} characters)"


def _first_of(value: Any, room: int) -> Any:
    """As much of a value as `room` characters can show."""
    if isinstance(value, str):
        return value[: room + 1]
    if isinstance(value, list | tuple):
        return [_first_of(part, room) for part in value[:room]]
    if isinstance(value, dict):
        return {key[: room + 1]: _first_of(part, room) for key, part in itertools.islice(value.items(), room)}
    return value


def dotted(place: Place) -> str:
    """The key at a place as TOML writes it: `train.steps`, `arms[1].draws`, `model."odd key"`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_bare_or_quoted(part)}" for part in place)
    return "".join(parts).removeprefix(".")


def problems_of(error: ValidationError, table: Mapping[str, Any]) -> Iterator[Problem]:
    """Each error that pydantic found in a Run's keys, once; errors that follow from another one are left out.

    Parameters
    ----------
    error
        What pydantic raised.
    table
        What it was raised for.
    """
    return (_problem(details, table) for details in _reported(error))


def count_of(error: ValidationError) -> int:
    """The number of `problems_of` an error."""
    return len(_reported(error))


def _reported(error: ValidationError) -> list[ErrorDetails]:
    # An empty location means a rule of rules.py, which is checked separately.
    return [
        details
        for details in error.errors(include_url=False)
        if details["loc"] and details["type"] != "default_factory_not_called"
    ]


def _problem(details: ErrorDetails, table: Mapping[str, Any]) -> Problem:
    place, value, kind = details["loc"], details["input"], details["type"]
    key = dotted(place)
    if kind == "extra_forbidden":
        return Problem(key, "", _unknown_key(place, table))
    if kind == "missing":
        return Problem(key, "", _missing(place))
    if kind == ILLEGAL:
        return Problem(key, shown(value), details["msg"])
    if kind == UNKNOWN:
        return Problem(key, _cut(repr(_first_of(value, 60))), details["msg"])
    wanted = {
        "int_type": "a whole number",
        "float_type": "a number",
        "string_type": "a string",
        "bool_type": "true or false",
        "tuple_type": "a list",
        "model_type": "a name or a table" if _named_at(place) else "a table",
    }
    return Problem(key, shown(value), f"must be {wanted.get(kind, 'of another type')}, not {kind_of(value)}")


def _named_at(place: Place) -> type[Named] | None:
    """The kind of table at a place that names a function, if it is one: at `arms[1]`, ArmConfig."""
    return NAMED.get(".".join(part for part in place if isinstance(part, str)))


def _bare_or_quoted(part: str) -> str:
    return part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part)


def _cut(text: str, room: int = 60) -> str:
    return text if len(text) <= room else text[: room - 3] + "..."


def _unknown_key(place: Place, table: Mapping[str, Any]) -> str:
    *where, key = place
    name = str(key)
    if not where:
        inside = [known for known in SECTION_KEYS if known.endswith(f".{name}")]
        near = nearest(inside[0], inside) if inside else nearest(name, TOP_KEYS)
        if name in SECTION_KEYS:
            section, _, inner = name.partition(".")
            near = f"; write {inner} = ... below the line [{section}]"
        return f"unknown key{near} ({listed(TOP_KEYS)})"
    if where[-1] == "train" and _named_at(tuple(where[:-1])) is ArmConfig:
        return _unknown_own_key(name)
    named = _named_at(tuple(where))
    if named is not None:
        return _unknown_option(named, as_table(_at(table, tuple(where))), name)
    model = _EVERY_SECTION[".".join(part for part in where if isinstance(part, str))]
    near = nearest(name, model.model_fields)
    if name in TOP_KEYS:
        near = f"; {name!r} is a key of the file's top: write it above the first [table]"
    return f"unknown key{near} ({listed(model.model_fields)})"


def _unknown_own_key(key: str) -> str:
    """Of an arm's own [train]."""
    if key in FIXED_KEYS:
        return f"must be the run's, in [train]: {FIXED_KEYS[key]} ({listed(OWN_KEYS)})"
    return f"unknown key{nearest(key, OWN_KEYS)} ({listed(OWN_KEYS)})"


def _unknown_option(named: type[Named], table: Mapping[str, Any], key: str) -> str:
    allowed = named.form(table).model_fields
    others = [name for name, entry in named.entries.items() if key in options_of(*entry.targets)]
    if key in TOP_KEYS and named in (DataConfig, ModelConfig):
        near = f"; {key!r} is a key of the file's top: write it above the first [table]"
    elif key in named.model_fields:
        near = (
            f"; only an arm with rules of your own has it, and {table['name']} is an arm of the catalogue: give yours "
            "another name"
        )
    elif others:
        near = f"; it is an option of {', '.join(others)}"
    else:
        near = nearest(key, allowed)
    return f"unknown key{near} ({listed(allowed)})"


def _at(table: Any, place: Place) -> Any:
    for part in place:
        table = as_table(table)[part]
    return table


def _missing(place: Place) -> str:
    named = _named_at(place[:-1]) or _named_at(place)
    if place[0] in LISTED:
        return f"missing; each [[{place[0]}]] has one"
    if named is None:
        return 'missing; give the campaign a name, e.g. name = "first-try" (its folder gets the same)'
    names = named.names
    article = "an" if names.noun[0] in "aeio" else "a"
    return f"missing; name {article} {names.noun} ({listed(names.names, names.functions, names.also)})"
