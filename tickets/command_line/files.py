"""Writing what a command made to a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tickets.errors import InputError
from tickets.store import replace_file


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files, by path in the folder; each is there whole or as it was. Missing folders are made.

    Raises InputError if something that is no folder is in the way, or the disk is full or may not be written to.
    """
    for name, data in files.items():
        try:
            replace_file(folder / name, data)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise InputError(f"--out = {str(folder)!r}: {error.filename} is in the way; name another folder") from error
