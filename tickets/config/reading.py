"""Read a campaign file, changed by the settings of the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tickets.config.messages import AsLine, Problem, shown
from tickets.config.schema import Campaign
from tickets.config.settings import line_with_source, with_setting
from tickets.config.sweep import read_sweep, runs_of
from tickets.config.types import kind_of
from tickets.errors import InputError, nearest


def read_campaign(source: str | Path | Mapping[str, Any], settings: Sequence[str] = ()) -> Campaign:
    """The campaign that a TOML file or a mapping describes, changed by settings.

    Parameters
    ----------
    source
        The file's path, or a mapping with the same content: plain dicts, lists and values.
    settings
        Such as "train.steps=500". A value is read as TOML, or taken as a string where it is not TOML. A setting of a
        swept key replaces the sweep over it.

    Raises
    ------
    InputError
        With every error at every point of the sweep. Each line begins with the source of its key: `--set key=value`, or
        the file's path, or nothing for a mapping. The line for a key of the file that conflicts with a setting names
        both.
    """
    table = source if isinstance(source, Mapping) else _table_in(Path(source))
    named = "" if isinstance(source, Mapping) else str(source)
    problems: list[str] = []
    for setting in settings:
        try:
            table = with_setting(table, setting)
        except InputError as error:
            problems += error.problems
    try:
        campaign = parse_campaign(table, lambda problem: line_with_source(problem, table, settings, named))
    except InputError as error:
        raise InputError([*problems, *error.problems]) from None
    if problems:
        raise InputError(problems)
    return campaign


def parse_campaign(table: Mapping[str, Any], as_line: AsLine = Problem.line) -> Campaign:
    """The campaign that a table describes.

    Parameters
    ----------
    table
        The content of a campaign file: plain dicts, lists and values.
    as_line
        Writes an error as a line of the InputError.

    Raises
    ------
    InputError
        With every error in the table.
    """
    base = {key: value for key, value in table.items() if key not in ("sweep", "data_folder")}
    sweep, problems = read_sweep(table.get("sweep", {}))
    folder = table.get("data_folder")
    if "data_folder" in table and not (isinstance(folder, str) and folder):
        kind = "an empty one" if folder == "" else kind_of(folder)
        problems.append(Problem("data_folder", shown(folder), f"must be a string, the path of a folder, not {kind}"))
    lines = [as_line(problem) for problem in problems]
    try:
        runs = runs_of(base, sweep, as_line)
    except InputError as error:
        raise InputError([*error.problems, *lines]) from None
    if lines:
        raise InputError(lines)
    return Campaign(runs=runs, sweep=sweep, data_folder=folder)


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
        # Some editors begin UTF-8 with a byte order mark, which TOML does not allow.
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
