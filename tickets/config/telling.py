"""What pydantic found wrong, told in the words of a campaign file.

Each problem names the key as the file has it, the value, what is allowed, and the nearest name that exists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tickets import catalogue
from tickets.config.inits import Init
from tickets.config.legal import ILLEGAL, UNKNOWN, kind_of, listed, unknown_name
from tickets.config.schema import ArmConfig, Run
from tickets.config.variants import DataConfig, ModelConfig
from tickets.errors import nearest

SECTIONS: Mapping[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in Run.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}
VARIANTS: Mapping[str, Mapping[str, type[BaseModel]]] = {
    key: {get_args(part)[1].tag: get_args(part)[0] for part in get_args(get_args(union)[0])}
    for key, union in (("data", DataConfig), ("model", ModelConfig), ("model.init", Init))
}
# What such a table names, the names that there are, and whether a function of the user's own will do.
NAMED: Mapping[str, tuple[str, Iterable[str], bool]] = {
    "data": ("a data set", catalogue.DATA, True),
    "model": ("a model", catalogue.MODELS, True),
    "model.init": ("an init", VARIANTS["model.init"], False),
}
TOP_KEYS = (*Run.model_fields, "data_folder", "sweep")  # the last two are the file's and not a run's
SECTION_KEYS = tuple(f"{section}.{key}" for section, model in SECTIONS.items() for key in model.model_fields)

Place = tuple[int | str, ...]
Told = Callable[["Problem"], str]  # a problem as a line of an InputError


class Problem(NamedTuple):
    """One thing wrong: the dotted key, the value as it is shown ("" for none), and the sentence about it.

    beside: other keys whose values the sentence takes as given.
    """

    key: str
    value: str
    sentence: str
    beside: tuple[str, ...] = ()

    def line(self) -> str:
        """`train.steps = "many": must be a whole number, not a string`."""
        return f"{self.key} = {self.value}: {self.sentence}" if self.value else f"{self.key}: {self.sentence}"


def shown(value: Any, room: int = 60) -> str:
    """A value on one line, much as a campaign file would hold it, cut to `room` characters."""
    literal = isinstance(value, str | bool | list | tuple | dict)
    return _cut(json.dumps(value, ensure_ascii=False, default=str) if literal else str(value), room)


def dotted(place: Place) -> str:
    """The key at a place as TOML writes it: `train.steps`, `arms[1].draws`, `model."odd key"`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_bare_or_quoted(part)}" for part in place)
    return "".join(parts).removeprefix(".")


def problems_of(error: ValidationError) -> Iterator[Problem]:
    """Each problem that pydantic found in a Run's keys, told once; what follows from another is left out."""
    for details in error.errors(include_url=False):
        place = details["loc"]
        # An empty place is the Run's own validator (rules.py), which is asked again with what can be judged.
        if place and details["type"] != "default_factory_not_called":
            yield _told(_in_file(place), details)


def _in_file(place: Place) -> Place:
    """The place without the variants that pydantic chose: it puts each behind its table, and none is a key."""
    found: list[int | str] = []
    parts = iter(place)
    for part in parts:
        found.append(part)
        if ".".join(map(str, found)) in VARIANTS:
            next(parts, None)
    return tuple(found)


def _told(place: Place, details: ErrorDetails) -> Problem:
    key, value, kind = dotted(place), details["input"], details["type"]
    if kind == "extra_forbidden":
        return Problem(key, "", _unknown_key(details["loc"]))
    if kind == "missing":
        return Problem(key, "", _missing(place))
    if kind.startswith("union_tag"):
        return _no_variant(key, value)
    if kind == ILLEGAL:
        return Problem(key, shown(value), details["msg"])
    if kind == UNKNOWN:
        return Problem(key, _cut(repr(value)), details["msg"])
    wanted = {
        "int_type": "a whole number",
        "float_type": "a number",
        "string_type": "a string",
        "bool_type": "true or false",
        "tuple_type": "a list",
        "model_type": "a name or a table" if place[0] in ("arms", "probes") else "a table",
    }
    return Problem(key, shown(value), f"must be {wanted.get(kind, 'of another kind')}, not {kind_of(value)}")


def _bare_or_quoted(part: str) -> str:
    return part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part)


def _cut(text: str, room: int = 60) -> str:
    return text if len(text) <= room else text[: room - 3] + "..."


def _unknown_key(place: Place) -> str:
    *where, key = place
    name = str(key)
    if not where:
        inside = [known for known in SECTION_KEYS if known.endswith(f".{name}")]
        near = nearest(inside[0], inside) if inside else nearest(name, TOP_KEYS)
        return f"unknown key{near} ({listed(TOP_KEYS)})"
    if where[0] == "arms":
        allowed = listed(ArmConfig.model_fields)
        near = nearest(name, ArmConfig.model_fields)
    else:
        section = dotted(_in_file(tuple(where)))
        model = VARIANTS[section][str(where[-1])] if section in VARIANTS else SECTIONS[section]
        allowed, near = listed(model.model_fields), nearest(name, model.model_fields)
        if name in TOP_KEYS:
            near = f"; {name!r} is a key of the file's top: write it above the first [table]"
    return f"unknown key{near} ({allowed})"


def _missing(place: Place) -> str:
    if place[0] == "arms":
        return f"missing; name an arm ({listed(catalogue.ARMS)})"
    if place[0] == "probes":
        return f"missing; name a probe ({listed(catalogue.PROBES, functions=True)})"
    if place[0] in NAMED:
        noun, entries, functions = NAMED[str(place[0])]
        return f"missing; name {noun} ({listed(entries, functions)})"
    return 'missing; give the campaign a name, e.g. name = "first-try" (its folder gets the same)'


def _no_variant(key: str, value: Any) -> Problem:
    noun, entries, functions = NAMED[key]
    if not isinstance(value, Mapping):
        return Problem(key, shown(value), f"must be a name or a table, not {kind_of(value)}")
    if "name" not in value:
        return Problem(f"{key}.name", "", _missing((key, "name")))
    name = value["name"]
    if not isinstance(name, str):
        return Problem(f"{key}.name", shown(name), f"must be a string, not {kind_of(name)}")
    return Problem(f"{key}.name", _cut(repr(name)), unknown_name(noun.partition(" ")[2], name, entries, functions))
