"""Write the output files of a command to a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tickets.errors import DiskError, InputError
from tickets.store import replace_file


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files to a folder. Each is written completely or not at all; missing folders are created.

    Parameters
    ----------
    folder
        The folder.
    files
        {path in the folder: content}.

    Raises
    ------
    InputError
        If there is a file in the place of a folder or a folder in the place of a file.
    DiskError
        If the disk is full, or if the folder is not writable.
    """
    for name, data in files.items():
        try:
            replace_file(folder / name, data)
        except DiskError as error:
            cause = error.__cause__
            if not isinstance(cause, NotADirectoryError | IsADirectoryError):
                raise
            raise InputError(f"--out = {str(folder)!r}: {cause.filename} is in the way; name another folder") from error
