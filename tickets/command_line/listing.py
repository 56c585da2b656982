"""What a campaign file can name, with the options of each: `tickets list`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic.fields import FieldInfo

from tickets.catalogue import ARMS, KINDS
from tickets.command_line.terminal import make_console, say
from tickets.config.arm_rules import keys_without_choice
from tickets.config.named import Named
from tickets.config.own_train import OWN_KEYS, OwnTrain, inline
from tickets.config.tables import ArmConfig, DataConfig, InitConfig, ModelConfig, ProbeConfig, ScoreConfig
from tickets.config.types import described

_FORMS: tuple[type[Named], ...] = (ModelConfig, DataConfig, InitConfig, ArmConfig, ScoreConfig, ProbeConfig)
_FORM_OF = {kind: next(form for form in _FORMS if form.entries is table) for kind, table in KINDS.items()}


def records(kind: str) -> list[dict[str, Any]]:
    """A record for each name of a kind, as JSON: name, summary, and the default and allowed values of each option.

    Parameters
    ----------
    kind
        A key of `tickets.catalogue.KINDS`.

    Returns
    -------
    list of dict
        Each {"name", "summary", "options": {option: {"default", "allowed"}}}. Options that a name has no choice in,
        such as the ticket's `pruned`, are left out.
    """
    named = _FORM_OF[kind]
    return [
        {"name": name, "summary": entry.summary, "options": _options(named, name)}
        for name, entry in named.entries.items()
    ]


def print_names(kind: str) -> None:
    """Print each name of a kind, its summary and its options; the options that they share are described below.

    Parameters
    ----------
    kind
        A key of `tickets.catalogue.KINDS`.
    """
    found, console = records(kind), make_console()
    shared = _shared(found, _FORM_OF[kind])
    width = max(len(record["name"]) for record in found)
    for record in found:
        say(console, f"{record['name']:<{width}}  {record['summary']}", indent=width + 2)
        for key, option in record["options"].items():
            if key not in shared:
                say(console, f"{'':<{width}}    {_given(key, option)}: {option['allowed']}", indent=width + 6)
            elif option["default"] != _usual_default(found, key):
                say(console, f"{'':<{width}}    {_given(key, option)}", indent=width + 6)
    for names in dict.fromkeys(shared.values()):
        console.print()
        say(console, f"Options of {_among(names, found)}:", indent=2)
        for key in (key for key, having in shared.items() if having == names):
            allowed = next(record["options"][key]["allowed"] for record in found if key in record["options"])
            say(console, f"  {_given(key, {'default': _usual_default(found, key)})}: {allowed}", indent=4)


def print_kinds() -> None:
    """Print the names of every kind, a line for each kind."""
    console, width = make_console(), max(map(len, KINDS))
    for kind, table in KINDS.items():
        say(console, f"{kind:<{width}}  {', '.join(table)}", indent=width + 2)
    console.print()
    say(console, "`tickets list KIND` prints a summary of each name, and its options.")


def _shared(found: list[dict[str, Any]], named: type[Named]) -> dict[str, tuple[str, ...]]:
    """{option: the names that have it}, for the options that all names have, or all but one (or a quarter) of them.

    Keys of every table of the kind are among them, whichever names have a choice in them.
    """
    shared = {}
    for key in dict.fromkeys(key for record in found for key in record["options"]):
        having = tuple(record["name"] for record in found if key in record["options"])
        allowed = {record["options"][key]["allowed"] for record in found if key in record["options"]}
        lacking = len(found) - len(having)
        usual = key in named.model_fields or lacking <= max(1, len(found) // 4)
        if len(allowed) == 1 and len(having) > 1 and usual:
            shared[key] = having
    return shared


def _among(names: Sequence[str], found: list[dict[str, Any]]) -> str:
    lacking = [record["name"] for record in found if record["name"] not in names]
    if len(lacking) > 2:
        return ", ".join(names)
    return f"all but {' and '.join(lacking)}" if lacking else "all of them"


def _usual_default(found: list[dict[str, Any]], key: str) -> Any:
    """The default that more than three quarters of the names with an option have; None if there is none."""
    defaults = [record["options"][key]["default"] for record in found if key in record["options"]]
    usual = max(defaults, key=defaults.count)
    return usual if 4 * defaults.count(usual) > 3 * len(defaults) else None


def _options(named: type[Named], name: str) -> dict[str, dict[str, Any]]:
    left_out = {"name", *(keys_without_choice(name) if named is ArmConfig else ())}
    fields = named.form({"name": name}).model_fields
    options = {key: _option(field) for key, field in fields.items() if key not in left_out}
    if named is ArmConfig and "train" in options:
        options["train"]["default"] = dict(ARMS[name].train)
    return options


def _option(field: FieldInfo) -> dict[str, Any]:
    kind: Any = field.annotation
    if isinstance(kind, type) and issubclass(kind, Named):
        allowed = kind.names.described
    elif kind is OwnTrain:
        allowed = f"a table of keys of [train]: {', '.join(OWN_KEYS)}"
    else:
        allowed = described(Annotated[kind, *field.metadata] if field.metadata else kind)
    return {"default": None if field.default_factory else field.default, "allowed": allowed}


def _given(key: str, option: Mapping[str, Any]) -> str:
    """`widths = [100, 100]`; the key alone where the option is not given by default."""
    default = option["default"]
    if default is None:
        return key
    return f"{key} = {inline(default) if isinstance(default, Mapping) else json.dumps(default)}"
