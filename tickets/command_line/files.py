"""Writing the files that a command made to a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tickets.errors import InputError
from tickets.store import replace_file


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files to a folder. Each is written completely or not at all; missing folders are created.

    Parameters
    ----------
    folder
        The folder.
    files
        The contents, by path in the folder.

    Raises
    ------
    InputError
        If a file stands where a folder should be or the other way round, if the disk is full, or if the folder may not
        be written to.
    """
    for name, data in files.items():
        try:
            replace_file(folder / name, data)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise InputError(f"--out = {str(folder)!r}: {error.filename} is in the way; name another folder") from error
