"""Notice that a folder was moved, removed or replaced while a campaign writes to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tickets.errors import DiskError
from tickets.store.refused import explained


@contextmanager
def unmoved(folder: Path) -> Iterator[Callable[[], None]]:
    """A block with a check that the folder at a path is the same as when the block began.

    Parameters
    ----------
    folder
        The folder.

    Yields
    ------
    callable
        Raises DiskError if there is another folder at the path, or none.

    Raises
    ------
    DiskError
        If the folder cannot be opened.
    """
    try:
        # It stays open, so that no other folder gets its number.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise explained(error, folder) or error from error

    def check() -> None:
        try:
            there = os.stat(folder)
        except (FileNotFoundError, NotADirectoryError):
            there = None
        except OSError as error:
            raise explained(error, folder) or error from error
        began = os.fstat(descriptor)
        if there is None or (there.st_dev, there.st_ino) != (began.st_dev, began.st_ino):
            raise DiskError(
                f"{folder}: was moved, removed or replaced while the campaign ran, so nothing more is written to it; "
                "if it was moved, move it back and run the same command to go on, or give its new place (--out)"
            )

    try:
        yield check
    finally:
        with suppress(OSError):
            os.close(descriptor)
