"""What a campaign file can name, with the options of each: `tickets list`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic.fields import FieldInfo

from tickets.command_line.terminal import make_console, say
from tickets.config.named import Named
from tickets.config.tables import ArmConfig, DataConfig, InitConfig, ModelConfig, ProbeConfig, ScoreConfig
from tickets.config.types import described

_MISSING = object()

KINDS: Mapping[str, type[Named]] = {
    "models": ModelConfig,
    "data": DataConfig,
    "inits": InitConfig,
    "arms": ArmConfig,
    "scores": ScoreConfig,
    "probes": ProbeConfig,
}


def records(kind: str) -> list[dict[str, Any]]:
    """A record for each name of a kind, as JSON: name, summary, and the default and allowed values of each key."""
    named = KINDS[kind]
    return [
        {"name": name, "summary": entry.summary, "options": _options(named, name)}
        for name, entry in named.entries.items()
    ]


def print_names(kind: str) -> None:
    """Print each name of a kind, its summary and its options; the options that all of them have are described below."""
    found, console = records(kind), make_console()
    shared = {key: option for key, option in found[0]["options"].items() if _in_all(found, key, "allowed")}
    width = max(len(record["name"]) for record in found)
    for record in found:
        say(console, f"{record['name']:<{width}}  {record['summary']}", indent=width + 2)
        for key, option in record["options"].items():
            if key not in shared:
                say(console, f"{'':<{width}}    {_given(key, option)}: {option['allowed']}", indent=width + 6)
            elif not _in_all(found, key, "default"):
                say(console, f"{'':<{width}}    {_given(key, option)}", indent=width + 6)
    if shared:
        say(console, "\nOptions of all of them:")
        for key, option in shared.items():
            given = _given(key, option) if _in_all(found, key, "default") else key
            say(console, f"  {given}: {option['allowed']}", indent=4)


def _in_all(found: list[dict[str, Any]], key: str, what: str) -> bool:
    """Whether all of several names have an option, with the same default or the same allowed values."""
    values = [record["options"][key][what] if key in record["options"] else _MISSING for record in found]
    return len(found) > 1 and all(value is not _MISSING and value == values[0] for value in values)


def _options(named: type[Named], name: str) -> dict[str, dict[str, Any]]:
    fields = named.form({"name": name}).model_fields
    return {key: _option(field) for key, field in fields.items() if key != "name"}


def _option(field: FieldInfo) -> dict[str, Any]:
    kind: Any = field.annotation
    if isinstance(kind, type) and issubclass(kind, Named):
        allowed = kind.names.described
    else:
        allowed = described(Annotated[kind, *field.metadata] if field.metadata else kind)
    return {"default": None if field.default_factory else field.default, "allowed": allowed}


def _given(key: str, option: Mapping[str, Any]) -> str:
    """`widths = [100, 100]`; the key alone where the option is not given by default."""
    return key if option["default"] is None else f"{key} = {json.dumps(option['default'])}"
