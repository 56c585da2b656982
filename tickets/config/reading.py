"""Read a campaign file, changed by the settings of the command line."""

from __future__ import annotations

import itertools
import math
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tickets.config.bounds import FILE_BYTES, PROBLEMS, RUNS
from tickets.config.claims import swept_problems
from tickets.config.messages import FILE_KEYS, FILE_SECTIONS, AsLine, Problem, problems_of, shortened, shown
from tickets.config.schema import Campaign, FileSections
from tickets.config.settings import line_with_source, with_setting
from tickets.config.sweep import first_point, read_sweep, runs_of
from tickets.config.toml_text import toml_of
from tickets.config.types import is_path, kind_of
from tickets.config.untrusted import form_problems
from tickets.errors import InputError, nearest
from tickets.opening import is_stream, read_regular, read_stream


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


def read_once(file: Path, settings: Sequence[str]) -> tuple[Path | Campaign, Sequence[str]]:
    """A campaign file and settings for `tickets.run`; a stream, which can be read only once, as its campaign.

    file, settings: as for `read_campaign`, which says what is raised.
    """
    return (read_campaign(file, settings), ()) if is_stream(file) else (file, settings)


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
        With every error in the table, up to bounds.PROBLEMS of them.
    """
    unbounded = [as_line(problem) for problem in itertools.islice(form_problems(table), PROBLEMS)]
    if unbounded:
        raise InputError(unbounded)
    base = {key: value for key, value in table.items() if key not in FILE_KEYS}
    sweep, problems = read_sweep(table.get("sweep", {}))
    if (count := math.prod(map(len, sweep.values()))) > RUNS:
        each = " x ".join(f"{len(values):,} of {shortened(key)}" for key, values in sweep.items())
        problems.append(Problem("sweep", "", f"has {count:,} points ({each}), a run each; must be at most {RUNS:,}"))
        sweep = first_point(sweep)
    folder = table.get("data_folder")
    if "data_folder" in table and not is_path(folder):
        kind = "an empty one" if folder == "" else "one with NUL" if isinstance(folder, str) else kind_of(folder)
        problems.append(Problem("data_folder", shown(folder), f"must be a string, the path of a folder, not {kind}"))
    sections, wrong = _file_sections(table)
    lines = [as_line(problem) for problem in (*problems, *wrong)]
    try:
        runs = runs_of(base, sweep, as_line)
    except InputError as error:
        raise InputError([*error.problems, *lines]) from None
    lines += [
        as_line(Problem(at, shown(value), sentence)) for at, value, sentence in swept_problems(runs[0].claim, sweep)
    ]
    if lines:
        raise InputError(lines)
    return Campaign(runs=runs, sweep=sweep, data_folder=folder, submit=sections.submit)


def _file_sections(table: Mapping[str, Any]) -> tuple[FileSections, list[Problem]]:
    """The tables of a campaign file that are the file's and not a run's, and the errors in them."""
    given = {key: table[key] for key in FILE_SECTIONS if key in table}
    try:
        return FileSections.model_validate(given), []
    except ValidationError as error:
        return FileSections(), list(itertools.islice(problems_of(error, given), PROBLEMS))


def _table_in(path: Path) -> dict[str, Any]:
    if not is_path(str(path)):
        raise InputError(f"{str(path)!r}: no file has such a path")
    content = read_stream(path, at_most=FILE_BYTES) if is_stream(path) else _content_of(path)
    try:
        # Some editors begin UTF-8 with a byte order mark, which TOML does not allow.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}: is not UTF-8 text (byte 0x{content[error.start]:02x} at line {line}); save it as UTF-8"
        ) from None
    try:
        return toml_of(text)
    except InputError as error:
        raise InputError([f"{path}: {problem}" for problem in error.problems]) from None


def _content_of(path: Path) -> bytes:
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise InputError(f"{path}: is a folder; give a campaign file (.toml)")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file{nearest(path.name, _toml_files(path.parent))}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    return read_regular(path, follow=True, at_most=FILE_BYTES)


def _toml_files(folder: Path) -> list[str]:
    """The campaign files in a folder, as far as its first thousand entries go."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in itertools.islice(entries, 1000) if entry.name.endswith(".toml")]
    except OSError:
        return []
