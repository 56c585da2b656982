"""Find and read the files of a data set, gzipped or not."""

from __future__ import annotations

import gzip
import hashlib
import shlex
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from tickets.errors import InputError

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
        seen = "".join(f"; {folder / path} is there: {why}" for path, why in unread.items() if (folder / path).exists())
        raise InputError(_missing(name, folder, folder / place, missing, aliases) + seen)
    return [found[place][file] for file in files]


def read(path: Path) -> bytes:
    """The content of a file, decompressed if its name ends in .gz.

    Parameters
    ----------
    path
        The path of the file.

    Raises
    ------
    InputError
        If the file cannot be read or its gzip data is damaged. The message contains neither the path nor the remedy.
    """
    try:
        contents = path.read_bytes()
        return gzip.decompress(contents) if path.suffix == ".gz" else contents
    except EOFError as error:
        raise InputError(f"its gzip data ends too early, after {len(contents):,} bytes") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"its gzip data is damaged ({error})") from error
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror or error})") from error


def read_all(
    name: str, folder: Path | None, paths: Sequence[Path], parse: Callable[[str, bytes], np.ndarray]
) -> tuple[list[np.ndarray], str]:
    """Read and parse the files of a data set.

    Parameters
    ----------
    name
        The data set's name.
    folder
        The data folder, for messages.
    paths
        The paths of the files.
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
        If files cannot be read or parsed; the message has the path, the error and the remedy of each.
    """
    total = hashlib.sha256()
    arrays: list[np.ndarray] = []
    problems: list[str] = []
    for path in paths:
        try:
            contents = read(path)
            total.update(contents)
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
    return {file: path for file, paths in forms.items() for path in reversed(paths) if path.is_file()}


def _missing(name: str, folder: Path, place: Path, missing: Sequence[str], aliases: Mapping[str, str]) -> str:
    """The message about missing files, with a hint if the given folder is one level too deep."""
    what = "1 file is missing" if len(missing) == 1 else f"{len(missing)} files are missing"
    gone = "" if place.is_dir() else ", which does not exist"
    hint = ""
    if _present(folder, missing, aliases):
        hint = f"; {folder} holds them itself: the data folder is the one that has a folder {name!r} in it"
    return (
        f"data {name!r}: {what} in {place}{gone}: {', '.join(missing)} (each as it is or with .gz)"
        f"{hint}; {fetch_command(name, folder)} downloads them"
    )
