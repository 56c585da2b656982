"""Find and read the files of a data set, gzipped or not."""

from __future__ import annotations

import errno
import hashlib
import os
import shlex
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from tickets.data.contents import Contents, Format, read
from tickets.errors import DiskError, InputError

NO_PICKLES = "it holds Python pickles, which are never read, since reading one can run any code"


def fetch_command(name: str, folder: Path | str) -> str:
    """The command that downloads a data set into the data folder, quoted for a message."""
    return f"`tickets fetch {name} --data {shlex.quote(str(folder))}`"


def locate(
    name: str,
    folder: Path | None,
    files: Sequence[str],
    places: Sequence[str],
    aliases: Mapping[str, str] = MappingProxyType({}),
    unread: Mapping[str, str] = MappingProxyType({}),
) -> list[Path]:
    """The paths of the files of a data set, in the order of `files`.

    Each file may be gzipped, with the suffix ".gz". If both forms of a file exist, the uncompressed one is used.

    Parameters
    ----------
    name
        The data set's name.
    folder
        The data folder; None if it is not given.
    files
        The names of the files.
    places
        Folders inside the data folder. The first with all files is used, or else the first with any of them.
    aliases
        Alternative names of files; a file's own name takes precedence.
    unread
        Other files that may be in the data folder, and why they are not read. The message about missing files
        mentions them.

    Raises
    ------
    InputError
        If files are missing; the message names each of them.
    DiskError
        If the system refuses to look them up.
    """
    if folder is None:
        raise InputError(
            f"data {name!r} is read from files, and no data folder is given; pass --data FOLDER, write "
            'data_folder = "FOLDER" in the campaign file, or set the environment variable TICKETS_DATA '
            f"({fetch_command(name, 'FOLDER')} downloads them)"
        )
    found = {place: _present(folder / place, files, aliases) for place in places}
    place = max(places, key=lambda one: (len(found[one]) == len(files), bool(found[one])))  # the first of the best
    missing = [file for file in files if file not in found[place]]
    if missing:
        seen = "".join(f"; {folder / path} is there: {why}" for path, why in unread.items() if _mode(folder / path))
        raise InputError(_missing(name, folder, folder / place, missing, aliases) + seen)
    return [found[place][file] for file in files]


def read_all(
    name: str,
    folder: Path | None,
    paths: Sequence[Path],
    form: Callable[[str], Format],
    parse: Callable[[str, Contents], np.ndarray],
) -> tuple[list[np.ndarray], str]:
    """Read and parse the files of a data set.

    Parameters
    ----------
    name
        The data set's name.
    folder
        The data folder, for messages.
    paths
        The paths of the files; those whose names end in .gz are unpacked.
    form
        ``form(file name)`` returns how long the content of a file may be.
    parse
        ``parse(file name, content)`` returns the array of a file, or raises InputError.

    Returns
    -------
    list of ndarray
        The array of each file.
    str
        The SHA-256 of all contents, in the order of `paths`.

    Raises
    ------
    InputError
        If files cannot be parsed; the message has the path, the error and the remedy of each.
    DiskError
        If the system refuses to read a file.
    """
    total = hashlib.sha256()
    arrays: list[np.ndarray] = []
    problems: list[str] = []
    for path in paths:
        try:
            contents = read(path, form(path.name), path.suffix == ".gz")
        except DiskError:
            raise  # the file may be whole: to delete it is no remedy
        except InputError as error:
            problems.extend(error.problems)
            continue
        total.update(contents)
        try:
            arrays.append(parse(path.name, contents))
        except InputError as error:
            problems.extend(f"{path}: {problem}" for problem in error.problems)
    if problems:
        raise damaged(name, folder, problems)
    return arrays, total.hexdigest()


def damaged(name: str, folder: Path | None, problems: Sequence[str]) -> InputError:
    """The error for damaged files: each problem with the remedy."""
    advice = f"delete it and run {fetch_command(name, folder or 'FOLDER')}"
    return InputError([f"{problem}; {advice}" for problem in problems])


def _present(folder: Path, files: Sequence[str], aliases: Mapping[str, str]) -> dict[str, Path]:
    """The paths of those files that exist in the folder."""
    names = {file: [file, *([aliases[file]] if file in aliases else [])] for file in files}
    forms = {file: [folder / f"{each}{end}" for each in own for end in ("", ".gz")] for file, own in names.items()}
    modes = {path: _mode(path) for paths in forms.values() for path in paths}
    # A FIFO or a device is taken if there is nothing else, so that the error says what it is. A folder is not: some
    # archives have folders with the names of the files.
    found: dict[str, Path] = {}
    for wanted in (_is_special, stat.S_ISREG):
        found |= {file: path for file, paths in forms.items() for path in reversed(paths) if wanted(modes[path])}
    return {file: found[file] for file in files if file in found}


def _is_special(mode: int) -> bool:
    return bool(mode) and not stat.S_ISDIR(mode)


def _mode(path: Path) -> int:
    """`st_mode` of a path, links followed; 0 if there is nothing."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except ValueError as error:  # a NUL character
        raise InputError(f"data folder {str(path)!r}: is no path ({error}); give another folder with --data") from error
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise InputError(f"{path}: is no path ({error.strerror}); give another folder with --data") from error
        raise DiskError(
            f"{path}: cannot be looked up ({error.strerror}); give another folder with --data, or check the "
            "permissions of its folders"
        ) from error


def _missing(name: str, folder: Path, place: Path, missing: Sequence[str], aliases: Mapping[str, str]) -> str:
    """The message about missing files, with a hint if the given folder is one level too deep."""
    what = "1 file is missing" if len(missing) == 1 else f"{len(missing)} files are missing"
    gone = "" if _mode(place) else ", which does not exist"
    hint = ""
    if _present(folder, missing, aliases):
        hint = f"; {folder} holds them itself: the data folder is the one that has a folder {name!r} in it"
    return (
        f"data {name!r}: {what} in {place}{gone}: {', '.join(missing)} (each as it is or with .gz)"
        f"{hint}; {fetch_command(name, folder)} downloads them"
    )
