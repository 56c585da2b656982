"""Settings of the command line (`--set key=value`): apply them to a campaign's table, and name them in errors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tickets.config.bounds import DEPTH
from tickets.config.messages import Problem
from tickets.config.rules import flat
from tickets.config.sweep import flat_sweep, with_key
from tickets.config.toml_text import toml_of
from tickets.errors import InputError


def with_setting(table: Mapping[str, Any], setting: str) -> dict[str, Any]:
    """A copy of a campaign file's table, changed by one "key=value".

    Raises
    ------
    InputError
        If the setting has no such form, its key is below a swept key, or its key is in a value that is no table.
    """
    key, equals, text = _parts(setting)
    first, _, rest = key.partition(".")
    if not equals or not all(key.split(".")):
        raise InputError(f"{_option(setting)}: must have the form key=value, e.g. --set train.steps=500")
    if key.count(".") >= DEPTH:
        raise InputError(f"{_option(setting)}: its key has too many parts; must be at most {DEPTH}")
    value = _toml_value(text)
    sweep = flat_sweep(table["sweep"]) if isinstance(table.get("sweep"), Mapping) else {}
    if first == "sweep" and rest:
        return {**table, "sweep": {**sweep, rest.strip("\"'"): value}}
    for swept in sweep:
        if key.startswith(f"{swept}."):
            raise InputError(
                f"{_option(setting)}: {swept!r} is swept, which would undo this; set {swept!r} itself instead"
            )
    try:
        changed = with_key(table, key, value)
    except InputError as error:
        raise InputError([f"{_option(setting)}: {line}" for line in error.problems]) from None
    if key in sweep:
        changed["sweep"] = {swept: values for swept, values in sweep.items() if swept != key}
    return changed


def line_with_source(problem: Problem, table: Mapping[str, Any], settings: Sequence[str], source: str) -> str:
    """An error as a line that begins with the source of its key.

    Parameters
    ----------
    problem
        The error.
    table
        The campaign file's table, changed by the settings.
    settings
        The settings of the command line. A setting that gave the key begins the line. A setting that gave another key,
        with which the value conflicts, stands at the end of the line; or at its beginning, if the table does not have
        the key, so that its value is a default.
    source
        The campaign file's path, which begins every other line; "" for none.
    """
    own = [setting for setting in settings if _gives(setting, problem.key)]
    beside = [setting for setting in settings if any(_gives(setting, key) for key in problem.beside)]
    if own:
        return f"{_option(own[-1])}: {problem.line()}"  # the last one of a key applies
    if beside and not _holds(table, problem.key):
        return f"{', '.join(map(_option, beside))}: {problem.line()}"
    line = f"{source}: {problem.line()}" if source else problem.line()
    return f"{line} (with {', '.join(map(_option, beside))})" if beside else line


def _parts(setting: str) -> tuple[str, str, str]:
    """The key, the equals sign and the value's text."""
    key, equals, text = setting.partition("=")
    return key.strip(), equals, text.strip()


def _option(setting: str) -> str:
    return f"--set {setting}" if len(setting) <= 80 else f"--set {setting[:77]}..."


def _gives(setting: str, key: str) -> bool:
    """Whether a setting gave the value at `key`, or the table or list that contains it."""
    name, _, text = _parts(setting)
    value = _toml_value(text)
    given = [name]
    if name == "sweep" and isinstance(value, Mapping):
        given += flat_sweep(value)
    elif name.startswith("sweep."):
        given.append(name.removeprefix("sweep."))
    wanted, *names = (re.sub("[\"']", "", quoted) for quoted in (key, *given))
    return any(wanted == name or wanted.startswith((f"{name}.", f"{name}[")) for name in names)


def _holds(table: Mapping[str, Any], key: str) -> bool:
    sweep = table.get("sweep")
    return key in flat(table) or (isinstance(sweep, Mapping) and key in flat_sweep(sweep))


def _toml_value(text: str) -> Any:
    try:
        read = toml_of(f"value = {text}")
    except InputError:
        return text
    # Text with a line break can be TOML of several keys, which is not a value.
    return read["value"] if read.keys() == {"value"} else text
