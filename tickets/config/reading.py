"""From a campaign file and the command line's settings to a Campaign."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tickets.config.legal import kind_of
from tickets.config.schema import Campaign
from tickets.config.sweep import flat_sweep, read_sweep, runs_of, with_key
from tickets.config.telling import Problem, shown
from tickets.errors import InputError, nearest


def read_campaign(path: str | Path, settings: Sequence[str] = ()) -> Campaign:
    """The campaign that a TOML file describes, changed by settings such as "train.steps=500".

    A setting's value is read as TOML, or taken as a string where it is none. A setting of a swept key takes
    the sweep's place. Every point of the sweep is checked. Raises InputError with every problem; those that
    are in the file's keys begin with its name.
    """
    path = Path(path)
    table = _table_in(path)
    problems: list[str] = []
    for setting in settings:
        try:
            table = with_setting(table, setting)
        except InputError as error:
            problems += error.problems
    try:
        campaign = parse_campaign(table)
    except InputError as error:
        raise InputError([*problems, *(f"{path}: {line}" for line in error.problems)]) from None
    if problems:
        raise InputError(problems)
    return campaign


def parse_campaign(table: Mapping[str, Any]) -> Campaign:
    """The campaign that a table describes, which holds what TOML would give: plain dicts, lists and values.

    Raises InputError with every problem in it.
    """
    base = {key: value for key, value in table.items() if key not in ("sweep", "data_folder")}
    sweep, problems = read_sweep(table.get("sweep", {}))
    folder = table.get("data_folder")
    if "data_folder" in table and not (isinstance(folder, str) and folder):
        kind = "an empty one" if folder == "" else kind_of(folder)
        problems.append(
            Problem("data_folder", shown(folder), f"must be a string, the path of a folder, not {kind}").line()
        )
    try:
        runs = runs_of(base, sweep)
    except InputError as error:
        raise InputError([*error.problems, *problems]) from None
    if problems:
        raise InputError(problems)
    return Campaign(runs=runs, sweep=sweep, data_folder=folder)


def with_setting(table: Mapping[str, Any], setting: str) -> dict[str, Any]:
    """A copy of a campaign file's table changed by one "key=value"; raises InputError if it cannot be."""
    key, equals, text = (part.strip() for part in setting.partition("="))
    first, _, rest = key.partition(".")
    if not equals or not all(key.split(".")):
        raise InputError(f"--set {setting}: must have the form key=value, e.g. --set train.steps=500")
    value = _toml_value(text)
    sweep = flat_sweep(table["sweep"]) if isinstance(table.get("sweep"), Mapping) else {}
    if first == "sweep" and rest:
        return {**table, "sweep": {**sweep, rest.strip("\"'"): value}}
    for swept in sweep:
        if key.startswith(f"{swept}."):
            raise InputError(
                f"--set {setting}: {swept!r} is swept, which would undo this; set {swept!r} itself instead"
            )
    changed = with_key(table, key, value)
    if key in sweep:
        changed["sweep"] = {swept: values for swept, values in sweep.items() if swept != key}
    return changed


def _toml_value(text: str) -> Any:
    try:
        read = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    # Text with a line break in it can be TOML of several keys; it is then no value.
    return read["value"] if read.keys() == {"value"} else text


def _table_in(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        beside = [file.name for file in path.parent.glob("*.toml")]
        raise InputError(f"{path}: no such file{nearest(path.name, beside)}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; give a campaign file (.toml)") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        # Some editors begin UTF-8 with a byte order mark, which TOML does not know.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}: is not UTF-8 text (byte 0x{content[error.start]:02x} at line {line}); save it as UTF-8"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: is not TOML: {error}") from None
    except RecursionError:
        raise InputError(f"{path}: is not a campaign file: its lists or tables are nested too deep") from None
